/** Removes directories with subvolumes in them so that nothing readable is left when it reports so. */
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorFields, type Log } from '@skerry/kit';
import { randomLabel } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import { deleteSubvolumes, isSubvolume, listDeletedSubvolumes } from './btrfs.ts';
import { isMissing } from './missing.ts';

/** How long freed extents may take before the deletion is reported all the same: the cleaner works on. */
const eraseDeadlineMs = 120_000;

export class Trash {
  readonly #directory: string;
  readonly #mountPoint: string;
  readonly #sync: () => Promise<void>;
  readonly #log: Log;
  #queue: { path: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #running = false;
  readonly #pending = new Map<string, Promise<void>>();

  /** `sync` flushes the file system of the store. */
  constructor(directory: string, mountPoint: string, sync: () => Promise<void>, log: Log) {
    this.#directory = directory;
    this.#mountPoint = mountPoint;
    this.#sync = sync;
    this.#log = log;
  }

  /** Moves a directory out of the tree at once; `erase` is still to be called with what this gives back. Absent gives `undefined`. */
  async take(path: string): Promise<string | undefined> {
    const name = `${basename(path)}.${randomLabel(6)}`;
    try {
      await rename(path, join(this.#directory, name));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    return name;
  }

  /** Deletes what `take` moved; resolves when its data is gone from the file system and given back to the device. */
  erase(name: string): Promise<void> {
    const erased = new Promise<void>((resolve, reject) => {
      this.#queue.push({ path: join(this.#directory, name), resolve, reject });
    }).finally(() => this.#pending.delete(name));
    this.#pending.set(name, erased);
    void this.#run();
    return erased;
  }

  /** Resolves when nothing that was called `name` is left here; what an erasure that failed left behind is tried again. */
  async settled(name: string): Promise<void> {
    for (const entry of await readdir(this.#directory))
      if (entry.startsWith(`${name}.`)) await (this.#pending.get(entry) ?? this.erase(entry));
  }

  /** Whether an entry of the trash is being erased. */
  erasing(name: string): boolean {
    return this.#pending.has(name);
  }

  /** Goes on with what an earlier daemon had moved here. */
  async resume(): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      this.erase(name).catch((error: unknown) =>
        this.#log.error('Cannot erase what was deleted', { name, ...errorFields(error) }),
      );
    }
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      try {
        await this.#eraseAll(batch.map((item) => item.path));
        for (const item of batch) item.resolve();
      } catch (error) {
        for (const item of batch) item.reject(error);
      }
    }
    this.#running = false;
  }

  async #eraseAll(paths: readonly string[]): Promise<void> {
    const subvolumes: string[] = [];
    for (const path of paths) {
      if (await isSubvolume(path)) subvolumes.push(path);
      else
        for (const entry of await readdir(path, { withFileTypes: true }))
          if (entry.isDirectory() && (await isSubvolume(join(path, entry.name))))
            subvolumes.push(join(path, entry.name));
    }
    await deleteSubvolumes(subvolumes);
    faultPoint('disks.delete.subvolume');
    for (const path of paths) await rm(path, { recursive: true, force: true });
    await this.#sync();
    if (subvolumes.length > 0) {
      await this.#awaitCleaner();
      // What the cleaner freed is given back to the device by the commit that follows.
      await this.#sync();
    }
    faultPoint('disks.delete.erased');
  }

  async #awaitCleaner(): Promise<void> {
    const waited = new Set(await listDeletedSubvolumes(this.#mountPoint));
    const deadline = Date.now() + eraseDeadlineMs;
    for (let pauseMs = 3; ; pauseMs = Math.min(250, pauseMs * 1.5)) {
      const left = (await listDeletedSubvolumes(this.#mountPoint)).filter((id) => waited.has(id));
      if (left.length === 0) return;
      if (Date.now() > deadline) {
        this.#log.warn('The extents of deleted disks are still being freed', { subvolumes: left });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
