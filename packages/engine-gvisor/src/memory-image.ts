import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Problem } from '@skerry/model';

/** The files of a memory image, as runsc names them: the sentry's own state, the table of pages, the pages. */
const stateFiles = ['checkpoint.img', 'pages_meta.img'] as const;
const pagesFile = 'pages.img';
const indexFile = 'image.json';
const indexFormat = 1;

/**
 * What lies beside runsc's files: their sizes, and the digests of the two small ones, of which runsc takes many a wrong byte for a right one. The
 * pages have no digest here: it would make each pause and resume half as long again, and the file system's checksums cover them.
 */
interface ImageIndex {
  readonly format: number;
  /** Stamp of the runsc that wrote it. */
  readonly build: string;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256?: string }>>;
}

/** Removes what an earlier save left in a directory: runsc writes only new files. */
export async function clearMemoryImage(directory: string): Promise<void> {
  for (const file of [indexFile, ...stateFiles, pagesFile]) await rm(join(directory, file), { force: true });
}

/**
 * Gives back the room of an image that could not be completed: a sentry keeps files that it failed to write open for a while, so they are cut
 * before they are removed. What cannot be removed is left to whoever owns the directory.
 */
export async function dropMemoryImage(directory: string): Promise<void> {
  for (const file of [...stateFiles, pagesFile]) await truncate(join(directory, file)).catch(() => undefined);
  await clearMemoryImage(directory).catch(() => undefined);
}

/** Completes an image that runsc has written. */
export async function sealMemoryImage(directory: string, build: string): Promise<void> {
  const files: Record<string, { bytes: number; sha256?: string }> = {};
  for (const file of stateFiles)
    files[file] = { bytes: await sizeOf(directory, file), sha256: await digestOf(join(directory, file)) };
  files[pagesFile] = { bytes: await sizeOf(directory, pagesFile) };
  const index: ImageIndex = { format: indexFormat, build, files };
  await writeFile(join(directory, indexFile), JSON.stringify(index), { mode: 0o600 });
}

/**
 * Looks at an image before anything is started from it, and gives back its size in `bytes`. It notices every missing or wrong byte but one: a
 * wrong one within the pages. Throws `data_loss` with reason `memory_image_damaged`.
 */
export async function checkMemoryImage(directory: string, build: string): Promise<number> {
  const index = await readIndex(directory);
  if (index.build !== build) throw damaged(`it was written by build "${index.build}", not by "${build}"`);
  let bytes = 0;
  for (const file of [...stateFiles, pagesFile]) {
    const expected = index.files[file];
    const found = await sizeOf(directory, file);
    if (expected === undefined || found !== expected.bytes)
      throw damaged(`"${file}" has ${found} bytes, not ${expected?.bytes ?? 0}`);
    if (expected.sha256 !== undefined && (await digestOf(join(directory, file))) !== expected.sha256)
      throw damaged(`"${file}" is not what was written`);
    bytes += found;
  }
  return bytes;
}

async function readIndex(directory: string): Promise<ImageIndex> {
  try {
    const index = JSON.parse(await readFile(join(directory, indexFile), 'utf8')) as ImageIndex;
    if (index.format !== indexFormat || typeof index.build !== 'string' || typeof index.files !== 'object')
      throw new Error(`Its format is "${String(index.format)}"`);
    return index;
  } catch (cause) {
    throw damaged(`"${indexFile}" cannot be read`, cause);
  }
}

async function sizeOf(directory: string, file: string): Promise<number> {
  const found = await lstat(join(directory, file)).catch((cause: unknown) => {
    throw damaged(`"${file}" is missing`, cause);
  });
  if (!found.isFile()) throw damaged(`"${file}" is no file`);
  return found.size;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash).catch((cause: unknown) => {
    throw damaged(`"${basename(path)}" cannot be read`, cause);
  });
  return hash.digest('hex');
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
  return /statefile|pages (metadata )?file|failed to load kernel|MemoryFile|I\/O error/i.test(words);
}
