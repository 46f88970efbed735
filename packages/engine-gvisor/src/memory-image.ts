import { lstat, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '@skerry/model';

/** The files of a memory image, as runsc names them: the sentry's own state, the table of pages, the pages. */
export const memoryFiles = ['checkpoint.img', 'pages_meta.img', 'pages.img'] as const;

const magic = Buffer.from('gVisorSF');
const mostMetadataBytes = 16 * 1024 * 1024;
const pageBytes = 4096;

/** Removes what an earlier save left in a directory: runsc writes only new files. */
export async function clearMemoryImage(directory: string): Promise<void> {
  await Promise.all(memoryFiles.map(async (file) => rm(join(directory, file), { force: true })));
}

/**
 * Looks at an image before anything is started from it, and gives back its size in `bytes`. It notices files that are missing, empty or cut,
 * and a header that is damaged or from another build; runsc itself notices a cut or wrong sentry state and table of pages, but no wrong byte in the pages.
 * Throws `data_loss` with reason `memory_image_damaged`.
 */
export async function checkMemoryImage(directory: string, build: string): Promise<number> {
  let bytes = 0;
  for (const file of memoryFiles) {
    const found = await lstat(join(directory, file)).catch((cause: unknown) => {
      throw damaged(`"${file}" is missing`, cause);
    });
    if (!found.isFile()) throw damaged(`"${file}" is no file`);
    // An idle sandbox has pages too: its own executable's data.
    if (found.size === 0) throw damaged(`"${file}" is empty`);
    if (file === 'pages.img' && found.size % pageBytes !== 0) throw damaged(`"${file}" ends within a page`);
    bytes += found.size;
  }
  const version = await readImageVersion(join(directory, memoryFiles[0]));
  if (version !== build) throw damaged(`it says that it was written by "${version}", not by "${build}"`);
  return bytes;
}

/** The stamp in the header of a sentry's state: a magic word, the length of a JSON document, the document. */
async function readImageVersion(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const head = Buffer.alloc(16);
    await readWhole(file, head, 0);
    if (!head.subarray(0, 8).equals(magic)) throw new Error('It does not begin as such a file does');
    const length = head.readBigUInt64BE(8);
    if (length > BigInt(mostMetadataBytes)) throw new Error('Its header is too long');
    const text = Buffer.alloc(Number(length));
    await readWhole(file, text, 16);
    return String((JSON.parse(text.toString('utf8')) as { runsc_version?: unknown }).runsc_version);
  } catch (cause) {
    throw damaged('the header of its first file cannot be read', cause);
  }
}

async function readWhole(
  file: { read(into: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }> },
  into: Buffer,
  position: number,
): Promise<void> {
  const { bytesRead } = await file.read(into, 0, into.length, position);
  if (bytesRead !== into.length) throw new Error('It ends too early');
}

/** The problem of an image that is not whole. */
export function damaged(what: string, cause?: unknown): Problem {
  return new Problem('data_loss', `The memory image is damaged: ${what}`, {
    reason: 'memory_image_damaged',
    hint: 'The disk is whole: start from it, or from another snapshot.',
    cause,
  });
}

/** Whether runsc's words about a failed restore speak of the image, and not of this machine or of the disk. */
export function isDamage(words: string): boolean {
  return /statefile|state file|pages (metadata )?file|failed to load kernel|MemoryFile|unexpected EOF|input\/output error/i.test(
    words,
  );
}
