/** Reads a tar stream as GNU tar writes it (ustar, pax headers, GNU long names). Source: POSIX pax, "ustar Interchange Format". */

export interface TarEntry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'other';
  readonly mode: number;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly size: number;
  readonly target: string;
  /** The content, which must be read to its end before the next entry. */
  readonly content: AsyncGenerator<Uint8Array>;
}

const block = 512;
const mostHeaderBytes = 1024 * 1024;
const types: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '5': 'directory',
};

/** Gives the entries in their order. Throws when the stream is no tar or ends inside an entry. */
export async function* readTar(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const bytes = new ByteReader(chunks);
  let extra: Record<string, string> = {};
  for (;;) {
    const header = await bytes.exactly(block, true);
    if (header === undefined) return;
    if (header.every((byte) => byte === 0)) continue;
    checkSum(header);
    const type = String.fromCharCode(header[156] ?? 0);
    const size = extra['size'] === undefined ? number(header, 124, 12) : Number(extra['size']);
    if (type === 'x' || type === 'L' || type === 'K' || type === 'g') {
      if (size > mostHeaderBytes) throw new Error('A header of the archive is too large');
      const content = (await bytes.exactly(size)) ?? new Uint8Array();
      await bytes.skip(padding(size));
      if (type === 'x') extra = { ...extra, ...parsePax(content) };
      if (type === 'L') extra = { ...extra, path: text(content, 0, content.length) };
      if (type === 'K') extra = { ...extra, linkpath: text(content, 0, content.length) };
      continue;
    }
    const prefix = text(header, 345, 155);
    const name = extra['path'] ?? (prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`);
    let left = types[type] === 'file' ? size : 0;
    async function* content(): AsyncGenerator<Uint8Array> {
      while (left > 0) {
        const piece = await bytes.some(left);
        left -= piece.length;
        yield piece;
      }
    }
    const body = content();
    yield {
      name,
      type: types[type] ?? 'other',
      mode: number(header, 100, 8) & 0o7777,
      modified: extra['mtime'] === undefined ? number(header, 136, 12) : Number(extra['mtime']),
      size: left,
      target: extra['linkpath'] ?? text(header, 157, 100),
      content: body,
    };
    await bytes.skip(left + (types[type] === 'file' ? padding(size) : 0));
    extra = {};
  }
}

function padding(size: number): number {
  return (block - (size % block)) % block;
}

function text(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString();
}

/** An octal number, or GNU's base-256 one. */
function number(bytes: Uint8Array, at: number, length: number): number {
  const first = bytes[at] ?? 0;
  if ((first & 0x80) === 0) return Number.parseInt(text(bytes, at, length).trim() || '0', 8);
  let value = first & 0x7f;
  for (const byte of bytes.subarray(at + 1, at + length)) value = value * 256 + byte;
  return value;
}

function checkSum(header: Uint8Array): void {
  let sum = 0;
  for (const [at, byte] of header.entries()) sum += at >= 148 && at < 156 ? 32 : byte;
  if (sum !== number(header, 148, 8)) throw new Error('The archive is broken: a header does not add up');
}

function parsePax(content: Uint8Array): Record<string, string> {
  const records: Record<string, string> = {};
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(32, at);
    const length = Number(Buffer.from(content.subarray(at, space)).toString());
    if (space < 0 || !Number.isInteger(length) || length < 4)
      throw new Error('The archive is broken: a pax header is malformed');
    const record = Buffer.from(content.subarray(space + 1, at + length - 1)).toString();
    const equals = record.indexOf('=');
    records[record.slice(0, equals)] = record.slice(equals + 1);
    at += length;
  }
  return records;
}

class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#source = chunks[Symbol.asyncIterator]();
  }

  /** At least one byte and at most `most`. */
  async some(most: number): Promise<Uint8Array> {
    if (this.#held.length === 0 && !(await this.#more())) throw new Error('The archive ends too early');
    const piece = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(piece.length);
    return piece;
  }

  /** So many bytes; with `orEnd`, `undefined` when the stream has ended before the first. */
  async exactly(length: number, orEnd = false): Promise<Uint8Array | undefined> {
    const pieces: Uint8Array[] = [];
    let got = 0;
    while (got < length) {
      if (this.#held.length === 0 && !(await this.#more())) {
        if (orEnd && got === 0) return undefined;
        throw new Error('The archive ends too early');
      }
      const piece = this.#held.subarray(0, length - got);
      this.#held = this.#held.subarray(piece.length);
      pieces.push(piece);
      got += piece.length;
    }
    return Buffer.concat(pieces);
  }

  async skip(length: number): Promise<void> {
    let left = length;
    while (left > 0) left -= (await this.some(left)).length;
  }

  async #more(): Promise<boolean> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#held = next.value;
      return true;
    }
  }
}
