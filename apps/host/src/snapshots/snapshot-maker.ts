/** Makes snapshots of boots, of disks that nothing uses, and of other snapshots. The same id gives the same snapshot. */
import { errorFields, type Log } from '@skerry/kit';
import {
  type OwnerBlob,
  Problem,
  type SandboxId,
  type SnapshotId,
  type SnapshotOrigin,
  type SnapshotReport,
  type SnapshotSource,
} from '@skerry/model';
import type { Boots } from '../boots/boots.ts';
import type { Disks } from '../disks/disks.ts';
import type { DiskSpace } from '../store/disk-space.ts';
import type { Draft } from './draft.ts';
import { savingProblem } from './saving-problem.ts';
import type { SnapshotRecord } from './snapshot-record.ts';
import type { Snapshots } from './snapshots.ts';

export interface SnapshotSpec {
  readonly snapshotId: SnapshotId;
  readonly sandboxId: SandboxId;
  readonly source: SnapshotSource;
  readonly origin: SnapshotOrigin;
  readonly owner: OwnerBlob;
}

export interface SnapshotMakerParts {
  readonly snapshots: Snapshots;
  readonly boots: Pick<Boots, 'get' | 'save' | 'settled'>;
  readonly disks: Pick<Disks, 'get' | 'holderOf' | 'rootOf' | 'settle' | 'settleFrom' | 'takenBytes'>;
  readonly space: Pick<DiskSpace, 'admit' | 'freeBytes'>;
  readonly log: Log;
}

export class SnapshotMaker {
  readonly #parts: SnapshotMakerParts;
  readonly #making = new Map<SnapshotId, Promise<void>>();

  constructor(parts: SnapshotMakerParts) {
    this.#parts = parts;
  }

  /** Returns when the snapshot is complete and durable; a source boot with `end` has ended then. */
  async make(spec: SnapshotSpec): Promise<SnapshotReport> {
    const { snapshots, boots } = this.#parts;
    const { snapshotId, source } = spec;
    if (!snapshots.has(snapshotId)) {
      const making = this.#making.get(snapshotId) ?? this.#make(spec).finally(() => this.#making.delete(snapshotId));
      this.#making.set(snapshotId, making);
      await making;
    }
    // One that an earlier daemon completed may still be ending its boot.
    if (source.type === 'boot' && source.end) await boots.settled(source.bootId);
    if (snapshots.get(snapshotId).sandboxId !== spec.sandboxId)
      throw new Problem('precondition_failed', `Snapshot "${snapshotId}" belongs to another sandbox`, {
        reason: 'snapshot_of_another',
      });
    return snapshots.report(snapshotId);
  }

  /** Deletes a snapshot; disks made from it stay whole. An absent one is fine. */
  async delete(snapshotId: SnapshotId): Promise<void> {
    await this.#parts.disks.settleFrom(snapshotId);
    await this.#parts.snapshots.delete(snapshotId);
  }

  async #make(spec: SnapshotSpec): Promise<void> {
    const { source } = spec;
    switch (source.type) {
      case 'boot':
        return this.#ofBoot(spec, source);
      case 'disk':
        return this.#ofDisk(spec, source);
      case 'snapshot':
        return this.#ofSnapshot(spec, source);
    }
  }

  async #ofBoot(spec: SnapshotSpec, source: SnapshotSource & { readonly type: 'boot' }): Promise<void> {
    const { boots } = this.#parts;
    const { bootId, memory, end } = source;
    if (end && !memory)
      throw new Problem('invalid', 'A boot that ends with its snapshot is saved with its memory', {
        reason: 'end_without_memory',
      });
    refuseOther(boots.get(bootId).sandboxId, spec);
    const { snapshotId, sandboxId, origin, owner } = spec;
    await boots.save(bootId, { snapshotId, sandboxId, origin, owner, memory, end });
  }

  async #ofDisk(spec: SnapshotSpec, { diskId }: SnapshotSource & { readonly type: 'disk' }): Promise<void> {
    const { disks } = this.#parts;
    refuseOther(disks.get(diskId).sandboxId, spec);
    const holder = disks.holderOf(diskId);
    if (holder !== undefined)
      throw new Problem('conflict', `Disk "${diskId}" is in use by boot "${holder}"`, { reason: 'disk_in_use' });
    await disks.settle(diskId);
    await this.#draft(spec, async (draft) => {
      await draft.copyTree(disks.rootOf(diskId));
      const { image, imageKey, sizeMiB } = disks.get(diskId);
      const nowMs = Date.now();
      await draft.publish({
        ...common(spec),
        kind: 'disk',
        image,
        imageKey,
        sizeMiB,
        inheritedBytes: await disks.takenBytes(diskId),
        createdAtMs: nowMs,
        savedAtMs: nowMs,
        stallMs: 0,
      });
    });
  }

  async #ofSnapshot(spec: SnapshotSpec, source: SnapshotSource & { readonly type: 'snapshot' }): Promise<void> {
    const { snapshots } = this.#parts;
    const release = snapshots.use(source.snapshotId);
    try {
      const origin = snapshots.get(source.snapshotId);
      await this.#draft(spec, async (draft) => {
        await draft.copyTree(snapshots.rootOf(source.snapshotId));
        if (origin.memory !== undefined) {
          await snapshots.checkMemory(source.snapshotId);
          await draft.copyMemory(snapshots.memoryDirectoryOf(source.snapshotId));
          await draft.sealMemory();
        }
        const { stallMs: _, ...state } = origin;
        await draft.publish({ ...state, ...common(spec), createdAtMs: Date.now(), stallMs: 0 });
      });
    } finally {
      release();
    }
  }

  /** Runs the steps of a draft; when one fails, nothing is left of it. */
  async #draft(spec: SnapshotSpec, work: (draft: Draft) => Promise<void>): Promise<void> {
    const { snapshots, space, log } = this.#parts;
    let draft: Draft | undefined;
    try {
      await space.admit('a snapshot');
      draft = await snapshots.begin(spec.snapshotId);
      await work(draft);
    } catch (error) {
      await draft
        ?.discard()
        .catch((failure: unknown) => log.error('A half-made snapshot cannot be removed', errorFields(failure)));
      throw await savingProblem(error, 0, space);
    }
  }
}

function common(
  spec: SnapshotSpec,
): Pick<SnapshotRecord, 'formatVersion' | 'snapshotId' | 'sandboxId' | 'origin' | 'owner'> {
  const { snapshotId, sandboxId, origin, owner } = spec;
  return { formatVersion: 1, snapshotId, sandboxId, origin, owner };
}

function refuseOther(sandboxId: SandboxId, spec: SnapshotSpec): void {
  if (sandboxId !== spec.sandboxId)
    throw new Problem('precondition_failed', `The source of snapshot "${spec.snapshotId}" belongs to another sandbox`, {
      reason: 'source_of_another',
    });
}
