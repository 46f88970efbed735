import { cp, mkdir } from 'node:fs/promises';
import { btrfsSnapshotFiles, type SnapshotFiles } from '../snapshots/snapshot-files.ts';

/** The steps of snapshots on any file system, each of which can be made to fail. */
export class PlainFiles implements SnapshotFiles {
  /** Steps done, by name. */
  readonly steps: (keyof SnapshotFiles)[] = [];
  #failing: { readonly step: keyof SnapshotFiles; readonly error: Error; readonly after: boolean } | undefined;

  /** Makes the next step of this name throw, before or after it has done its work. */
  fail(step: keyof SnapshotFiles, error: Error, after = false): void {
    this.#failing = { step, error, after };
  }

  makeDirectory(path: string): Promise<void> {
    return this.#step('makeDirectory', async () => void (await mkdir(path, { recursive: true })));
  }

  copyTree(source: string, target: string): Promise<void> {
    return this.#step('copyTree', () => cp(source, target, { recursive: true }));
  }

  copyMemory(source: string, target: string): Promise<void> {
    return this.#step('copyMemory', () => cp(source, target, { recursive: true }));
  }

  sealMemory(directory: string): ReturnType<SnapshotFiles['sealMemory']> {
    return this.#step('sealMemory', () => btrfsSnapshotFiles.sealMemory(directory));
  }

  writeRecord(path: string, content: string): Promise<void> {
    return this.#step('writeRecord', () => btrfsSnapshotFiles.writeRecord(path, content));
  }

  publish(from: string, to: string): Promise<void> {
    return this.#step('publish', () => btrfsSnapshotFiles.publish(from, to));
  }

  async #step<T>(step: keyof SnapshotFiles, work: () => Promise<T>): Promise<T> {
    const failing = this.#failing?.step === step ? this.#failing : undefined;
    if (failing !== undefined) this.#failing = undefined;
    if (failing?.after === false) throw failing.error;
    const result = await work();
    if (failing !== undefined) throw failing.error;
    this.steps.push(step);
    return result;
  }
}
