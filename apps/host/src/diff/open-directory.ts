/** A directory that is held open, so that nothing below it is ever reached through a link, even in a tree that changes at the same time. */
import type { BigIntStats } from 'node:fs';
import { constants, type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises';

const openDirectoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** What became a pipe meanwhile must not be waited for. */
const openFileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Names are given as one character a byte (latin1): they may be no text. */
export class OpenDirectory implements AsyncDisposable {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Opens a directory by a path of the daemon's own. */
  static async open(path: string): Promise<OpenDirectory> {
    return new OpenDirectory(await open(path, openDirectoryFlags));
  }

  /** Opens one that lies in it; `undefined` when it is no directory any more. */
  async openDirectory(name: string): Promise<OpenDirectory | undefined> {
    const handle = await unlessGone(open(this.#pathOf(name), openDirectoryFlags));
    return handle === undefined ? undefined : new OpenDirectory(handle);
  }

  async openFile(name: string): Promise<FileHandle | undefined> {
    return unlessGone(open(this.#pathOf(name), openFileFlags));
  }

  /** Names in it, in the order of their bytes. */
  async names(): Promise<string[]> {
    return (await readdir(`/proc/self/fd/${this.#handle.fd}`, { encoding: 'latin1' })).sort();
  }

  async stat(name: string): Promise<BigIntStats | undefined> {
    return unlessGone(lstat(this.#pathOf(name), { bigint: true }));
  }

  async ownStat(): Promise<BigIntStats> {
    return this.#handle.stat({ bigint: true });
  }

  async link(name: string): Promise<string | undefined> {
    return unlessGone(readlink(this.#pathOf(name), { encoding: 'latin1' }));
  }

  /** Path by which another program of root finds something in it, in bytes; `.` is the directory itself. */
  outerPath(name: string): Buffer {
    return Buffer.from(`/proc/${process.pid}/fd/${this.#handle.fd}/${name}`, 'latin1');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  #pathOf(name: string): Buffer {
    return Buffer.from(`/proc/self/fd/${this.#handle.fd}/${name}`, 'latin1');
  }
}

/** What a tree in use loses between two looks is as good as never seen. */
async function unlessGone<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO' || code === 'EINVAL')
      return undefined;
    throw error;
  }
}
