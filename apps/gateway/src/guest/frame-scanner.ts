import { gunzipSync } from 'node:zlib';

/** How a stream of the guest's services frames its messages: both as one byte of flags, four of length, and the message. */
export type Framing = 'connect' | 'grpc-web';

const headBytes = 5;
/** The flag of the frame that ends a stream. */
const endFlags = { connect: 0x02, 'grpc-web': 0x80 } as const;
/** Keepalives are tiny: what is longer is work, unseen. */
const mostKeepaliveBytes = 96;
/** `event.keepalive` of the process service, `keepalive` of the others: as JSON and in protobuf's binary form. */
const keepalives: ReadonlySet<string> = new Set(['{"event":{"keepalive":{}}}', '{"keepalive":{}}']);
const binaryKeepalives: ReadonlySet<string> = new Set(['0a022200', '1a00']);

/** Which framing a content type announces; `undefined` for none that is known. */
export function framingOf(contentType: string | undefined): Framing | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type.startsWith('application/connect+')) return 'connect';
  // The text form is base64 over all of it.
  return type.startsWith('application/grpc-web') && !type.startsWith('application/grpc-web-text')
    ? 'grpc-web'
    : undefined;
}

/** Follows the frames of a stream as its bytes pass, and tells work from keepalives. Copies no more than a keepalive's length of each frame. */
export class FrameScanner {
  /** Bytes of frames that are no keepalives. */
  workBytes = 0;
  /** Whether the frame that ends the stream has begun. */
  ended = false;
  /** Where in the bytes last given the frame begins that ends the stream, below 0 when before them. */
  endAt = 0;
  readonly #endFlag: number;
  readonly #head = Buffer.alloc(headBytes);
  #headHeld = 0;
  #left = 0;
  #small: Buffer | undefined;
  #smallHeld = 0;

  constructor(framing: Framing) {
    this.#endFlag = endFlags[framing];
  }

  /** Whether the bytes so far end with a whole frame. */
  get atBoundary(): boolean {
    return this.#headHeld === 0 && this.#left === 0;
  }

  /** Takes the next bytes. Gives the offset in them at which the frame begins that they do not end; their length when they end with a whole one. */
  scan(chunk: Buffer): number {
    let begin = this.atBoundary ? 0 : -1;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        if (this.#headHeld === 0) begin = at;
        const taken = chunk.copy(this.#head, this.#headHeld, at, at + headBytes - this.#headHeld);
        this.#headHeld += taken;
        at += taken;
        if (this.#headHeld < headBytes) break;
        this.#beginFrame(begin);
        continue;
      }
      const taken = Math.min(this.#left, chunk.length - at);
      if (this.#small !== undefined) this.#smallHeld += chunk.copy(this.#small, this.#smallHeld, at, at + taken);
      this.#left -= taken;
      at += taken;
      if (this.#left === 0) this.#endFrame();
    }
    return this.atBoundary ? chunk.length : Math.max(0, begin);
  }

  #beginFrame(at: number): void {
    this.#left = this.#head.readUInt32BE(1);
    if (((this.#head[0] ?? 0) & this.#endFlag) !== 0 && !this.ended) {
      this.ended = true;
      this.endAt = at;
    }
    this.#smallHeld = 0;
    this.#small = this.#left <= mostKeepaliveBytes && !this.ended ? Buffer.alloc(this.#left) : undefined;
    if (this.#small === undefined) this.workBytes += headBytes + this.#left;
    if (this.#left === 0) this.#endFrame();
  }

  #endFrame(): void {
    this.#headHeld = 0;
    const message = this.#small;
    this.#small = undefined;
    if (message !== undefined && !isKeepalive(message, ((this.#head[0] ?? 0) & 1) !== 0))
      this.workBytes += headBytes + message.length;
  }
}

function isKeepalive(message: Buffer, compressed: boolean): boolean {
  let plain = message;
  if (compressed)
    try {
      plain = gunzipSync(message, { maxOutputLength: mostKeepaliveBytes });
    } catch {
      // Of another compression, or longer than any keepalive.
      return false;
    }
  // Go writes JSON with spaces in random places.
  return binaryKeepalives.has(plain.toString('hex')) || keepalives.has(plain.toString('latin1').replace(/\s/g, ''));
}
