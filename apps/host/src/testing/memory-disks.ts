import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BootId, type DiskId, Problem, type SandboxId, type SnapshotId } from '@skerry/model';
import type { BootParts } from '../boots/boot-parts.ts';
import type { DiskPoint, DiskRecord } from '../disks/disk-record.ts';

/** Disks whose records are in memory and whose trees are plain directories; they outlive a daemon. */
export class MemoryDisks {
  readonly #directory: string;
  readonly #sandboxId: SandboxId;
  readonly holders: Map<DiskId, BootId> = new Map();
  readonly points: Map<DiskId, DiskPoint> = new Map();
  readonly rootOfSnapshot: (snapshotId: SnapshotId) => string;
  full = false;
  /** Thrown by the next change of a mark. */
  markFailure: Error | undefined;

  constructor(directory: string, sandboxId: SandboxId, rootOfSnapshot: (snapshotId: SnapshotId) => string) {
    this.#directory = directory;
    this.#sandboxId = sandboxId;
    this.rootOfSnapshot = rootOfSnapshot;
  }

  /** Makes the tree of a disk. */
  async make(diskId: DiskId): Promise<string> {
    await mkdir(this.#root(diskId), { recursive: true });
    return this.#root(diskId);
  }

  get parts(): BootParts['disks'] & {
    settleFrom: () => Promise<void>;
    holderOf: (diskId: DiskId) => BootId | undefined;
  } {
    return {
      get: (diskId) => this.#record(diskId),
      hold: (diskId, bootId) => {
        if ((this.holders.get(diskId) ?? bootId) !== bootId) throw new Problem('conflict', 'held');
        this.holders.set(diskId, bootId);
      },
      release: (diskId) => void this.holders.delete(diskId),
      holderOf: (diskId) => this.holders.get(diskId),
      rootOf: (diskId) => this.#root(diskId),
      isFull: async () => this.full,
      isDurable: () => true,
      takenBytes: async () => 4096,
      setPoint: async (diskId, snapshotId) => this.#mark(diskId, { snapshotId, begun: false }),
      clearPoint: async (diskId) => this.#mark(diskId, undefined),
      beginRestore: async (diskId, snapshotId) => {
        await this.#settle(diskId);
        if (this.points.get(diskId)?.snapshotId !== snapshotId)
          throw new Problem('precondition_failed', 'Its files have changed', { reason: 'disk_changed_since' });
        this.#mark(diskId, { snapshotId, begun: true });
      },
      settle: (diskId) => this.#settle(diskId),
      settleFrom: async () => undefined,
    };
  }

  #mark(diskId: DiskId, point: DiskPoint | undefined): void {
    const failure = this.markFailure;
    this.markFailure = undefined;
    if (failure !== undefined) throw failure;
    if (point === undefined) this.points.delete(diskId);
    else this.points.set(diskId, point);
  }

  async #settle(diskId: DiskId): Promise<void> {
    const point = this.points.get(diskId);
    if (point?.begun !== true) return;
    await rm(this.#root(diskId), { recursive: true });
    await cp(this.rootOfSnapshot(point.snapshotId), this.#root(diskId), { recursive: true });
    this.#mark(diskId, { ...point, begun: false });
  }

  #root(diskId: DiskId): string {
    return join(this.#directory, diskId);
  }

  #record(diskId: DiskId): DiskRecord {
    return {
      formatVersion: 1,
      diskId,
      sandboxId: this.#sandboxId,
      image: 'base',
      imageKey: 'k',
      sizeMiB: 1,
      durable: true,
      createdAtMs: 0,
      owner: { version: 1, project: 'p', sandbox: {} },
    };
  }
}
