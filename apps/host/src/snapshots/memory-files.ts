/** The files of a memory image: what is written down of them when they are saved, and looked at before they are used. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { isMissing } from '../store/missing.ts';
import type { MemoryFile } from './snapshot-record.ts';

const headBytes = 64 * 1024;
const chunkBytes = 1024 * 1024;

/** Writes a memory directory to disk, and gives back what is to be kept of its files, by name. */
export async function sealMemory(directory: string): Promise<MemoryFile[]> {
  const names = (await readdir(directory)).sort();
  const files = await Promise.all(
    names.map(async (name) => {
      const handle = await open(join(directory, name), 'r+');
      try {
        const [described] = await Promise.all([describe(handle, name), handle.sync()]);
        return described;
      } finally {
        await handle.close();
      }
    }),
  );
  await syncDirectory(directory);
  return files;
}

/** Throws `data_loss` when a file is not there, has another size or another beginning. Reads 64 KiB of each. */
export async function checkMemory(directory: string, files: readonly MemoryFile[]): Promise<void> {
  await look(directory, files, async (handle, file) => (await digest(handle, headBytes)) === file.headSha256);
}

/** Throws `data_loss` when anything of the files is not as it was saved. Reads all of them. */
export async function verifyMemory(
  directory: string,
  files: readonly MemoryFile[],
  signal?: AbortSignal,
): Promise<void> {
  await look(
    directory,
    files,
    async (handle, file) => (await digest(handle, Number.POSITIVE_INFINITY, signal)) === file.sha256,
  );
}

async function look(
  directory: string,
  files: readonly MemoryFile[],
  same: (handle: FileHandle, file: MemoryFile) => Promise<boolean>,
): Promise<void> {
  for (const file of files) {
    try {
      const handle = await open(join(directory, file.name), 'r');
      try {
        const { size } = await handle.stat();
        if (size !== file.bytes) throw damaged(`"${file.name}" has ${size} bytes, not ${file.bytes}`);
        if (!(await same(handle, file))) throw damaged(`the content of "${file.name}" has changed`);
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (isMissing(error)) throw damaged(`"${file.name}" is missing`, error);
      // The file system found that what it reads is not what was written.
      if (error instanceof Error && 'code' in error && (error.code === 'EIO' || error.code === 'EBADMSG'))
        throw damaged(`"${file.name}" cannot be read`, error);
      throw error;
    }
  }
}

function damaged(what: string, cause?: unknown): Problem {
  return new Problem('data_loss', `The saved memory is damaged: ${what}`, {
    reason: 'memory_image_damaged',
    hint: 'The files of the sandbox are not affected: it can be started from them.',
    cause,
  });
}

async function describe(handle: FileHandle, name: string): Promise<MemoryFile> {
  const { size } = await handle.stat();
  const headSha256 = await digest(handle, headBytes);
  return { name, bytes: size, headSha256, sha256: size <= headBytes ? headSha256 : await digest(handle, size) };
}

/** SHA-256 of the first `most` bytes. */
async function digest(handle: FileHandle, most: number, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(most, chunkBytes));
  for (let position = 0; position < most; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, most - position), position);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  return hash.digest('hex');
}
