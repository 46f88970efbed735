import { join } from 'node:path';
import { faultPoint } from '../fault-points.ts';
import type { SnapshotFiles } from './snapshot-files.ts';
import { formatSnapshotRecord, type MemoryFile, type SnapshotRecord } from './snapshot-record.ts';

/** Ends the name of a directory that is no snapshot yet. */
export const draftSuffix = '.partial';

export interface DraftParts {
  readonly path: string;
  /** Its name once it is complete. */
  readonly target: string;
  readonly files: SnapshotFiles;
  readonly published: (record: SnapshotRecord) => void;
  readonly discard: () => Promise<void>;
  readonly over: () => void;
}

/** A snapshot in the making. Either `publish` or `discard` ends it. */
export class Draft {
  readonly #parts: DraftParts;

  constructor(parts: DraftParts) {
    this.#parts = parts;
  }

  get root(): string {
    return join(this.#parts.path, 'root');
  }

  get memoryDirectory(): string {
    return join(this.#parts.path, 'memory');
  }

  /** Takes the tree as it is at this instant; durable when it returns. */
  async copyTree(source: string): Promise<void> {
    await this.#parts.files.copyTree(source, this.root);
    faultPoint('snapshots.create.root');
  }

  /** Makes the empty directory for a memory image. */
  async makeMemoryDirectory(): Promise<void> {
    await this.#parts.files.makeDirectory(this.memoryDirectory);
  }

  /** Takes the memory files of another snapshot, without taking their space again. */
  async copyMemory(source: string): Promise<void> {
    await this.makeMemoryDirectory();
    await this.#parts.files.copyMemory(source, this.memoryDirectory);
    faultPoint('snapshots.create.memory');
  }

  /** Makes the memory image durable, and describes it. */
  async sealMemory(): Promise<MemoryFile[]> {
    const files = await this.#parts.files.sealMemory(this.memoryDirectory);
    faultPoint('snapshots.create.sealed');
    return files;
  }

  /** Completes it: from now on the snapshot exists, power loss or not. When this throws, it is still to be discarded. */
  async publish(record: SnapshotRecord): Promise<void> {
    const { path, target, files, published, over } = this.#parts;
    await files.writeRecord(join(path, 'snapshot.json'), formatSnapshotRecord(record));
    faultPoint('snapshots.create.recorded');
    await files.publish(path, target);
    published(record);
    over();
    faultPoint('snapshots.create.published');
  }

  /** Removes what there is of it. */
  async discard(): Promise<void> {
    try {
      await this.#parts.discard();
    } finally {
      this.#parts.over();
    }
  }
}
