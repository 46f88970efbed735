import { constants } from 'node:fs';
import { access, chmod, copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '@skerry/kit';
import { Problem, randomLabel } from '@skerry/model';

/** What a stamp may look like: it becomes the name of a directory. */
const stampPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const unfinished = '.new-';

/**
 * The runsc binaries that boots were started with and memory images were written by, each at `<directory>/<stamp>/runsc`: only that very binary
 * speaks with its boots and reads its images. A build that is there is whole, after a power loss too.
 */
export class Builds {
  readonly #directory: string;
  /** Builds that a call works with now, and how many calls do: these stay, whatever `retain` is told. */
  readonly #inUse = new Map<string, number>();
  /** For each `retain` under way, what was worked with since it began. */
  readonly #touched = new Set<Set<string>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  pathOf(build: string): string {
    return join(this.#directory, build, 'runsc');
  }

  async has(build: string): Promise<boolean> {
    if (!stampPattern.test(build)) return false;
    return access(this.pathOf(build), constants.X_OK).then(
      () => true,
      () => false,
    );
  }

  /** Keeps a build, as a copy of `path` that shares its bytes where the file system can, and gives back its own path. */
  async keep(build: string, path: string): Promise<string> {
    if (!stampPattern.test(build)) throw new Error(`"${build}" is no stamp of a build`);
    if (await this.has(build)) return this.pathOf(build);
    await mkdir(this.#directory, { recursive: true, mode: 0o755 });
    const scratch = join(this.#directory, `${unfinished}${randomLabel(8)}`);
    try {
      await mkdir(scratch, { mode: 0o755 });
      const copy = join(scratch, 'runsc');
      await copyFile(path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      // runsc runs itself again as nobody, whatever the umask of this process is.
      await Promise.all([chmod(copy, 0o755), chmod(scratch, 0o755), chmod(this.#directory, 0o755)]);
      await using file = await open(copy, 'r');
      await file.sync();
      await syncDirectory(scratch);
      await rename(scratch, join(this.#directory, build));
    } catch (error) {
      await rm(scratch, { recursive: true, force: true });
      // Another call kept the same build meanwhile.
      if (!(await this.has(build))) throw Problem.from(error);
    }
    await syncDirectory(this.#directory);
    return this.pathOf(build);
  }

  /** Runs `work` while a build stays, whatever `retain` is told. */
  async hold<T>(build: string, work: () => Promise<T>): Promise<T> {
    this.#inUse.set(build, (this.#inUse.get(build) ?? 0) + 1);
    for (const touched of this.#touched) touched.add(build);
    try {
      return await work();
    } finally {
      const left = (this.#inUse.get(build) ?? 1) - 1;
      if (left === 0) this.#inUse.delete(build);
      else this.#inUse.set(build, left);
    }
  }

  /** Removes every build but those that `findWanted` names or that are worked with meanwhile, and copies that a kill left unfinished. */
  async retain(findWanted: () => Promise<ReadonlySet<string>>): Promise<void> {
    const touched = new Set(this.#inUse.keys());
    this.#touched.add(touched);
    try {
      const wanted = await findWanted();
      for (const name of await readdir(this.#directory).catch(() => [])) {
        if (wanted.has(name) || touched.has(name)) continue;
        if (!name.startsWith(unfinished) && !stampPattern.test(name)) continue;
        await rm(join(this.#directory, name), { recursive: true, force: true });
      }
    } finally {
      this.#touched.delete(touched);
    }
  }
}
