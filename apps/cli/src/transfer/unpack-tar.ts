import { chmod, link, lstat, lutimes, mkdir, open, rm, symlink, utimes } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { SkerryError } from '@skerry/sdk';
import { readTar, type TarEntry } from './tar-reader.ts';

/**
 * Unpacks an archive that a sandbox made, and that is therefore hostile: nothing is written outside `folder`, not through a symbolic link either;
 * setuid bits, devices and owners are left out. Modes, times and symbolic links are kept.
 */
export async function unpackTar(chunks: AsyncIterable<Uint8Array>, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const safe = new Set<string>(['']);
  const folders: { path: string; mode: number; modified: number }[] = [];
  // Links come last: so no entry of the archive is written through one of its own.
  const links: TarEntry[] = [];
  for await (const entry of readTar(chunks)) {
    const parts = safeParts(entry.name);
    const path = join(folder, ...parts);
    const mode = entry.mode & 0o777;
    if (entry.type === 'directory') {
      await makeFolders(folder, parts, safe);
      folders.push({ path, mode, modified: entry.modified });
      continue;
    }
    if (parts.length === 0) throw refused(entry.name);
    await makeFolders(folder, parts.slice(0, -1), safe);
    if (entry.type === 'file') await writeFile(path, entry, mode);
    else if (entry.type === 'symlink') links.push(entry);
    else if (entry.type === 'link') await makeHardLink(folder, entry, path, safe);
  }
  for (const entry of links) {
    const path = join(folder, ...safeParts(entry.name));
    await rm(path, { force: true });
    await symlink(entry.target, path);
    await lutimes(path, entry.modified, entry.modified);
  }
  // Inner folders first: what is written in a folder changes its time, and a folder without rights takes no more.
  for (const { path, mode, modified } of folders.toReversed()) {
    await chmod(path, mode);
    await utimes(path, modified, modified);
  }
}

/** The parts of a name in the archive. Throws when it leads out of the folder. */
export function safeParts(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || name.includes('\0')) throw refused(name);
  return parts;
}

async function makeFolders(folder: string, parts: readonly string[], safe: Set<string>): Promise<void> {
  for (let depth = 1; depth <= parts.length; depth++) {
    const key = parts.slice(0, depth).join('/');
    if (safe.has(key)) continue;
    const path = join(folder, key);
    const there = await lstat(path).catch(() => undefined);
    if (there === undefined) await mkdir(path, { mode: 0o755 });
    else if (!there.isDirectory()) throw refused(key);
    safe.add(key);
  }
}

async function writeFile(path: string, entry: TarEntry, mode: number): Promise<void> {
  // A link or a pipe in its place is replaced, never written through.
  await rm(path, { force: true });
  const file = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    for await (const piece of entry.content) await file.write(piece);
    await file.chmod(mode);
    await file.utimes(entry.modified, entry.modified);
  } finally {
    await file.close();
  }
}

async function makeHardLink(folder: string, entry: TarEntry, path: string, safe: Set<string>): Promise<void> {
  const parts = safeParts(entry.target);
  const key = dirname(parts.join('/'));
  if (!safe.has(key === '.' ? '' : key)) throw refused(entry.target);
  const target = join(folder, ...parts);
  if (!(await lstat(target)).isFile()) throw refused(entry.target);
  await rm(path, { force: true });
  await link(target, path);
}

function refused(name: string): SkerryError {
  return new SkerryError({
    code: 'forbidden',
    reason: 'unsafe_archive',
    message: `The sandbox's archive would write "${name}" outside the destination`,
    hint: 'Copy into an empty folder, and look at what the sandbox holds.',
    status: 0,
  });
}
