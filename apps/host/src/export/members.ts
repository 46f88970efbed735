/**
 * The members of an export: a plain tar of small regular files, so that `tar` itself can read it. Reading is strict: what our own writer would not have
 * written is refused, because the file may come from anybody.
 */
import { damaged } from './damaged.ts';

/** Most data of one member, in `bytes`. */
export const mostMemberBytes = 1024 * 1024;
const blockBytes = 512;
const namePattern = /^[A-Za-z0-9_][A-Za-z0-9._/-]{0,98}$/;

export interface Member {
  readonly name: string;
  readonly data: Buffer;
}

/** One member as tar: header, data, padding. */
export function formatMember(name: string, data: Buffer): Buffer {
  if (!namePattern.test(name) || data.length > mostMemberBytes) throw new Error(`"${name}" cannot be a member`);
  const padding = (blockBytes - (data.length % blockBytes)) % blockBytes;
  return Buffer.concat([formatHeader(name, data.length), data, Buffer.alloc(padding)]);
}

/** What ends a tar. */
export function formatEnd(): Buffer {
  return Buffer.alloc(2 * blockBytes);
}

/** Reads the members of a tar as they come. Throws `data_loss` for what is cut, damaged, goes on after its end, or was not written by `formatMember`. */
export async function* readMembers(content: AsyncIterable<Uint8Array>): AsyncGenerator<Member, void, undefined> {
  const reader = new ExactReader(content);
  try {
    for (;;) {
      const header = await reader.take(blockBytes);
      if (header.every((byte) => byte === 0)) break;
      const { name, bytes } = parseHeader(header);
      const data = await reader.take(bytes);
      const padding = await reader.take((blockBytes - (bytes % blockBytes)) % blockBytes);
      if (padding.some((byte) => byte !== 0)) throw damaged('there is something between its parts');
      yield { name, data };
    }
    if ((await reader.take(blockBytes)).some((byte) => byte !== 0)) throw damaged('it goes on after its end');
    if (!(await reader.atEnd())) throw damaged('it goes on after its end');
  } finally {
    await reader.close();
  }
}

function formatHeader(name: string, bytes: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.write(name, 0, 100, 'latin1');
  header.write('0000600\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  header.write(`${bytes.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.write('00000000000\0', 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function parseHeader(header: Buffer): { readonly name: string; readonly bytes: number } {
  const name = header.toString('latin1', 0, 100).replace(/\0+$/, '');
  const bytes = Number.parseInt(header.toString('latin1', 124, 135), 8);
  if (!namePattern.test(name) || !(bytes >= 0 && bytes <= mostMemberBytes))
    throw damaged('a part has no valid name or size');
  if (!header.equals(formatHeader(name, bytes))) throw damaged(`the head of "${name}" is not as Skerry writes it`);
  return { name, bytes };
}

/** Takes exact amounts from chunks of any size. */
class ExactReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(content: AsyncIterable<Uint8Array>) {
    this.#chunks = content[Symbol.asyncIterator]();
  }

  async take(bytes: number): Promise<Buffer> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < bytes) {
      const next = await this.#chunks.next();
      if (next.done === true) throw damaged('it is cut off, or was changed');
      parts.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength));
      have += next.value.byteLength;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  async atEnd(): Promise<boolean> {
    if (this.#rest.length > 0) return false;
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return true;
      if (next.value.byteLength > 0) return false;
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
