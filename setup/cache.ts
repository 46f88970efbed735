import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Where set-up keeps what it built: outside the clone, shared by all clones of one machine. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return env['SKERRY_CACHE'] ?? '/var/cache/skerry';
}

/** Digest of an ordered list of named parts; a part's length is hashed with it, so that parts cannot run into each other. */
export function contentKey(parts: Readonly<Record<string, string | Buffer>>): string {
  const hash = createHash('sha256');
  for (const [name, part] of Object.entries(parts)) {
    const bytes = Buffer.from(part);
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** Makes a folder that other users may traverse, whatever the umask is. */
export async function makeOpenFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o755 });
  if (made === undefined) return;
  for (let folder = path; folder.length >= made.length; folder = dirname(folder)) await chmod(folder, 0o755);
}

/** An empty folder on the cache's own file system, so that its content can be renamed into place. Left-overs go with `clearScratch`. */
export async function makeScratch(root: string, what: string): Promise<string> {
  const path = join(root, 'tmp', `${what}-${randomBytes(6).toString('hex')}`);
  await makeOpenFolder(dirname(path));
  await makeOpenFolder(path);
  return path;
}

/** Removes what killed runs left behind. Only the holder of the lock may call it. */
export async function clearScratch(root: string): Promise<void> {
  await rm(join(root, 'tmp'), { recursive: true, force: true });
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Moves a finished folder to its final name: files and folder are synced first, so the name never shows half a result. */
export async function publish(finished: string, target: string): Promise<void> {
  for (const entry of await readdir(finished, { withFileTypes: true })) {
    if (entry.isFile()) await syncPath(join(finished, entry.name));
  }
  await syncPath(finished);
  await makeOpenFolder(dirname(target));
  await rm(target, { recursive: true, force: true });
  await rename(finished, target);
  await syncPath(dirname(target));
}
