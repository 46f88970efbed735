import { createHash } from 'node:crypto';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '@skerry/model';

/** Files of a fake memory image; `pages.img` holds the bulk, as of a real one. */
export const fakeImageFiles = ['state.img', 'pages.img'] as const;

/** What a fake image remembers of a boot. */
export interface FakeSavedState {
  /** What its guest had counted to. */
  readonly count: number;
  /** Its memory, as a test filled it. */
  readonly memory: Readonly<Record<string, string>>;
}

const pagesBytes = 4096;

function digestOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

export async function writeFakeImage(directory: string, state: FakeSavedState): Promise<void> {
  const pages = Buffer.alloc(pagesBytes, 7);
  const text = JSON.stringify(state);
  await writeFile(join(directory, 'pages.img'), pages);
  await writeFile(
    join(directory, 'state.img'),
    JSON.stringify({ text, digest: digestOf(text), pages: digestOf(pages) }),
  );
}

/** Throws `data_loss` when any byte of it is not what was written. */
export async function readFakeImage(directory: string): Promise<FakeSavedState> {
  try {
    const { text, digest, pages } = JSON.parse(await readFile(join(directory, 'state.img'), 'utf8')) as {
      text: string;
      digest: string;
      pages: string;
    };
    if (digestOf(text) !== digest) throw new Error('The state has another digest');
    if (digestOf(await readFile(join(directory, 'pages.img'))) !== pages)
      throw new Error('The pages have another digest');
    return JSON.parse(text) as FakeSavedState;
  } catch (cause) {
    throw new Problem('data_loss', 'The memory image is damaged', { reason: 'memory_image_damaged', cause });
  }
}

/** Leaves what a save that was cut off leaves. */
export async function writePartOfFakeImage(directory: string): Promise<void> {
  await writeFile(join(directory, 'pages.img'), 'p');
}

/** Damages an image, as a disk or a person may. */
export async function damageFakeImage(directory: string, how: 'missing' | 'truncated' | 'flipped'): Promise<void> {
  const path = join(directory, 'pages.img');
  if (how === 'missing') return rm(path);
  if (how === 'truncated') return truncate(path, pagesBytes / 2);
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
  await writeFile(path, bytes);
}
