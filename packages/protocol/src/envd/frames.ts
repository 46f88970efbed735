/** Connect's stream framing: one byte of flags, four bytes of big-endian length, a JSON message. Source: Connect protocol, "Streaming RPCs". */

/** Flag of the frame that ends a stream. */
export const endStreamFlag = 0x02;

/** Largest message accepted from a peer, in `bytes`. */
export const maxFrameBytes = 64 * 1024 * 1024;

export interface Frame {
  readonly flags: number;
  readonly message: unknown;
}

/** Encodes one message as a frame. */
export function encodeFrame(message: unknown, flags = 0): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(message));
  const frame = new Uint8Array(5 + json.length);
  frame[0] = flags;
  new DataView(frame.buffer).setUint32(1, json.length);
  frame.set(json, 5);
  return frame;
}

/** Cuts a byte stream into frames. Throws when a frame is too large, is compressed, is no JSON, or the stream ends inside one. */
export async function* decodeFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let parts: Uint8Array[] = [];
  let held = 0;
  const take = (length: number): Uint8Array => {
    const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : concat(parts, held);
    const rest = all.subarray(length);
    parts = rest.length === 0 ? [] : [rest];
    held = rest.length;
    return all.subarray(0, length);
  };
  let header: { flags: number; length: number } | undefined;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    parts.push(chunk);
    held += chunk.length;
    for (;;) {
      if (header === undefined) {
        if (held < 5) break;
        const bytes = take(5);
        const length = new DataView(bytes.buffer, bytes.byteOffset, 5).getUint32(1);
        if (length > maxFrameBytes) throw new Error(`A frame of ${length} bytes exceeds the limit of ${maxFrameBytes}`);
        header = { flags: bytes[0] ?? 0, length };
        if ((header.flags & 1) !== 0) throw new Error('A frame is compressed, which was not asked for');
      }
      if (held < header.length) break;
      const text = new TextDecoder().decode(take(header.length));
      const { flags } = header;
      header = undefined;
      yield { flags, message: text === '' ? {} : (JSON.parse(text) as unknown) };
    }
  }
  if (header !== undefined || held > 0) throw new Error('The stream ended inside a frame');
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
