/** Writable root file systems that outlive boots: `disks/<id>/{disk.json,root}`, made from an image or from a snapshot. */
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFields, KeyedSerial, type Log, readFileIfExists, writeFileAtomic } from '@skerry/kit';
import {
  type BootId,
  type DiskId,
  type DiskReport,
  isId,
  type OwnerBlob,
  Problem,
  type SandboxId,
  type SnapshotId,
} from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import type { ImageStore } from '../images/image-store.ts';
import { deleteSubvolumes, isSubvolume, limitSubvolume, snapshotSubvolume } from '../store/btrfs.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { DiskSpace } from '../store/disk-space.ts';
import type { Trash } from '../store/trash.ts';
import { bytesPerMiB, diskLimitBytes } from './disk-limit.ts';
import { type DiskPoint, type DiskRecord, formatDiskRecord, parseDiskRecord } from './disk-record.ts';
import { DiskUsage } from './disk-usage.ts';

export interface DiskSpec {
  readonly diskId: DiskId;
  readonly sandboxId: SandboxId;
  readonly image: string;
  readonly sizeMiB: number;
  readonly durable: boolean;
  readonly owner: OwnerBlob;
  /** Made from this snapshot's files. */
  readonly snapshotId?: SnapshotId;
}

export interface DisksOptions {
  /** `disks` of the store. */
  readonly directory: string;
  readonly mountPoint: string;
  readonly images: ImageStore;
  readonly snapshots: Pick<Snapshots, 'get' | 'has' | 'rootOf' | 'use'>;
  readonly trash: Trash;
  readonly space: DiskSpace;
  /** Removes what else is kept of a disk, such as the logs of its boots. */
  readonly forget: (diskId: DiskId) => Promise<void>;
  readonly log: Log;
}

/** From this little room on a disk counts as full. */
const fullWithinBytes = 1024 * 1024;

export class Disks {
  readonly #options: DisksOptions;
  readonly #records = new Map<DiskId, DiskRecord>();
  readonly #holders = new Map<DiskId, BootId>();
  readonly #deleting = new Set<DiskId>();
  readonly #serial = new KeyedSerial<DiskId>();
  readonly #usage: DiskUsage;

  private constructor(options: DisksOptions) {
    this.#options = options;
    this.#usage = new DiskUsage(options.mountPoint);
  }

  /** Reads every disk there is, and sets limits again that a power loss took. */
  static async open(options: DisksOptions): Promise<Disks> {
    const disks = new Disks(options);
    for (const entry of await readdir(options.directory)) {
      if (!isId('disk', entry)) continue;
      const text = await readFileIfExists(join(options.directory, entry, 'disk.json'));
      if (text === undefined) continue;
      try {
        disks.#records.set(entry, parseDiskRecord(text));
      } catch (error) {
        options.log.error('A disk cannot be used: its record is not readable', {
          diskId: entry,
          ...errorFields(error),
        });
      }
    }
    const quotas = await disks.#usage.byDisk();
    for (const record of disks.#records.values())
      if (quotas.get(record.diskId)?.limitBytes !== diskLimitBytes(record))
        await limitSubvolume(disks.rootOf(record.diskId), diskLimitBytes(record)).catch((error: unknown) =>
          options.log.error("A disk's limit cannot be set", { diskId: record.diskId, ...errorFields(error) }),
        );
    return disks;
  }

  /** Makes a disk; one that exists with the same sandbox and image is given back. */
  async create(spec: DiskSpec): Promise<DiskReport> {
    return this.#serial.run(spec.diskId, async () => {
      const existing = this.#records.get(spec.diskId);
      if (existing !== undefined) {
        if (
          existing.sandboxId !== spec.sandboxId ||
          existing.image !== spec.image ||
          existing.snapshotId !== spec.snapshotId
        )
          throw new Problem(
            'precondition_failed',
            `Disk "${spec.diskId}" belongs to sandbox "${existing.sandboxId}" already`,
            {
              reason: 'disk_id_taken',
            },
          );
        return this.#report(existing, 0);
      }
      await this.#options.space.admit('a new disk');
      const { record, source, release } = this.#sourceOf(spec);
      try {
        await this.#make(record, source);
      } finally {
        release();
      }
      this.#records.set(spec.diskId, record);
      return this.#report(record, 0);
    });
  }

  /** What a new disk is copied from, kept until `release`. Throws `not_found`. */
  #sourceOf(spec: DiskSpec): { readonly record: DiskRecord; readonly source: string; readonly release: () => void } {
    const { images, snapshots } = this.#options;
    const always = { formatVersion: 1, ...spec, createdAtMs: Date.now() } as const;
    if (spec.snapshotId === undefined) {
      const image = images.get(spec.image);
      return { record: { ...always, imageKey: image.key }, source: image.root, release: () => undefined };
    }
    const { image, imageKey, inheritedBytes, memory } = snapshots.get(spec.snapshotId);
    if (image !== spec.image)
      throw new Problem(
        'precondition_failed',
        `Snapshot "${spec.snapshotId}" was made from image "${image}", not "${spec.image}"`,
        {
          reason: 'snapshot_of_another_image',
        },
      );
    return {
      record: {
        ...always,
        imageKey,
        inheritedBytes,
        ...(memory === undefined ? {} : { point: { snapshotId: spec.snapshotId, begun: false } }),
      },
      source: snapshots.rootOf(spec.snapshotId),
      release: snapshots.use(spec.snapshotId),
    };
  }

  async setOwner(diskId: DiskId, owner: OwnerBlob): Promise<void> {
    await this.#serial.run(diskId, async () => this.#write({ ...this.get(diskId), owner }));
  }

  /** Notes that the disk's files are those of this snapshot, to whose memory a boot may go back. Durable when it returns. */
  async setPoint(diskId: DiskId, snapshotId: SnapshotId): Promise<void> {
    await this.#serial.run(diskId, async () => this.#setPoint(diskId, { snapshotId, begun: false }));
  }

  /** Notes that the disk may have other files than any snapshot. Durable when it returns. */
  async clearPoint(diskId: DiskId): Promise<void> {
    await this.#serial.run(diskId, async () => this.#setPoint(diskId, undefined));
  }

  /**
   * Makes ready for a boot that goes on from the memory of this snapshot. Durable when it returns. Throws `precondition_failed` when the disk has
   * been used since, with its files untouched.
   */
  async beginRestore(diskId: DiskId, snapshotId: SnapshotId): Promise<void> {
    await this.#serial.run(diskId, async () => {
      await this.#settle(diskId);
      if (this.get(diskId).point?.snapshotId !== snapshotId)
        throw new Problem('precondition_failed', 'The files of the sandbox have changed since its memory was saved', {
          reason: 'disk_changed_since',
          hint: 'Start it from its files.',
        });
      await this.#setPoint(diskId, { snapshotId, begun: true });
    });
  }

  /**
   * Takes the files from the snapshot again when a boot went on from it and never came so far that anybody was told: what it wrote is of no
   * life that there is. To be called before any other use of a disk that no boot has.
   */
  async settle(diskId: DiskId): Promise<void> {
    await this.#serial.run(diskId, async () => this.#settle(diskId));
  }

  /** Settles every disk that is still to be taken from this snapshot, so that it can go. */
  async settleFrom(snapshotId: SnapshotId): Promise<void> {
    for (const { diskId, point } of [...this.#records.values()])
      if (point?.begun === true && point.snapshotId === snapshotId && !this.#holders.has(diskId))
        await this.settle(diskId);
  }

  async #settle(diskId: DiskId): Promise<void> {
    const { point } = this.get(diskId);
    if (point?.begun !== true) return;
    const { snapshots } = this.#options;
    const { snapshotId } = point;
    // It was deleted by hand. The files are there, as those of a machine whose power failed.
    if (!snapshots.has(snapshotId)) return this.#setPoint(diskId, undefined);
    const { inheritedBytes } = snapshots.get(snapshotId);
    const record: DiskRecord = { ...this.get(diskId), inheritedBytes };
    const root = this.rootOf(diskId);
    const copy = `${root}.new`;
    if (await isSubvolume(copy)) await deleteSubvolumes([copy]);
    await snapshotSubvolume(snapshots.rootOf(snapshotId), copy);
    await limitSubvolume(copy, diskLimitBytes(record));
    faultPoint('disks.settle.copied');
    if (await isSubvolume(root)) await deleteSubvolumes([root]);
    faultPoint('disks.settle.removed');
    await rename(copy, root);
    faultPoint('disks.settle.renamed');
    await this.#write({ ...record, point: { snapshotId, begun: false } });
  }

  async #setPoint(diskId: DiskId, point: DiskPoint | undefined): Promise<void> {
    const { point: before, ...record } = this.get(diskId);
    if (before?.snapshotId === point?.snapshotId && before?.begun === point?.begun) return;
    await this.#write(point === undefined ? record : { ...record, point });
  }

  /** Replaces a record; durable when it returns. */
  async #write(record: DiskRecord): Promise<void> {
    await writeFileAtomic(this.#recordPath(record.diskId), formatDiskRecord(record));
    this.#records.set(record.diskId, record);
  }

  /** Deletes a disk; nothing readable of it is left when this returns. An absent one is fine. Throws `conflict` while a boot uses it. */
  async delete(diskId: DiskId): Promise<void> {
    const holder = this.#holders.get(diskId);
    if (holder !== undefined)
      throw new Problem('conflict', `Disk "${diskId}" is in use by boot "${holder}"`, {
        reason: 'disk_in_use',
        hint: 'Stop the boot first.',
      });
    this.#deleting.add(diskId);
    try {
      await this.#serial.run(diskId, async () => {
        const name = await this.#options.trash.take(this.#directoryOf(diskId));
        faultPoint('disks.delete.renamed');
        this.#records.delete(diskId);
        await this.#options.forget(diskId);
        if (name !== undefined) await this.#options.trash.erase(name);
        else await this.#options.trash.settled(diskId);
      });
    } finally {
      this.#deleting.delete(diskId);
    }
  }

  /** Keeps a disk for one boot. Throws `not_found`, and `conflict` when another boot has it. */
  hold(diskId: DiskId, bootId: BootId): void {
    this.get(diskId);
    const holder = this.#holders.get(diskId);
    if (holder !== undefined && holder !== bootId)
      throw new Problem('conflict', `Disk "${diskId}" is in use by boot "${holder}"`, {
        reason: 'disk_in_use',
        hint: 'Stop that boot first.',
      });
    if (this.#deleting.has(diskId))
      throw new Problem('conflict', `Disk "${diskId}" is being deleted`, { reason: 'disk_deleting' });
    this.#holders.set(diskId, bootId);
  }

  release(diskId: DiskId, bootId: BootId): void {
    if (this.#holders.get(diskId) === bootId) this.#holders.delete(diskId);
  }

  /** The boot that has it now. */
  holderOf(diskId: DiskId): BootId | undefined {
    return this.#holders.get(diskId);
  }

  /** Throws `not_found`. */
  get(diskId: DiskId): DiskRecord {
    const record = this.#records.get(diskId);
    if (record === undefined)
      throw new Problem('not_found', `There is no disk "${diskId}"`, { reason: 'disk_not_found' });
    return record;
  }

  /** Whether it was promised to survive power loss; one that is gone was not. */
  isDurable(diskId: DiskId): boolean {
    return this.#records.get(diskId)?.durable ?? false;
  }

  rootOf(diskId: DiskId): string {
    return join(this.#directoryOf(diskId), 'root');
  }

  async list(): Promise<DiskReport[]> {
    const quotas = await this.#usage.byDisk();
    return [...this.#records.values()].map((record) => this.#report(record, quotas.get(record.diskId)?.usedBytes ?? 0));
  }

  /** How much of its size a disk's files take now, what it inherited included; what its own snapshots hold on to counts too. */
  async takenBytes(diskId: DiskId): Promise<number> {
    const { sizeMiB, inheritedBytes = 0 } = this.get(diskId);
    this.#usage.expire();
    const used = (await this.#usage.byDisk()).get(diskId)?.usedBytes ?? 0;
    return Math.min(inheritedBytes + used, sizeMiB * bytesPerMiB);
  }

  /** Whether a disk has reached its limit. */
  async isFull(diskId: DiskId): Promise<boolean> {
    this.#usage.expire();
    const quota = (await this.#usage.byDisk()).get(diskId);
    return quota?.limitBytes !== undefined && quota.usedBytes + fullWithinBytes >= quota.limitBytes;
  }

  /** Whether something with this id is known or being made. */
  knows(diskId: DiskId): boolean {
    return this.#records.has(diskId) || this.#serial.busy(diskId);
  }

  async #make(record: DiskRecord, source: string): Promise<void> {
    const root = this.rootOf(record.diskId);
    await mkdir(this.#directoryOf(record.diskId), { recursive: true, mode: 0o700 });
    faultPoint('disks.create.directory');
    // Without a record it is what an earlier try left: nobody has used it.
    if (await isSubvolume(root)) await deleteSubvolumes([root]);
    await snapshotSubvolume(source, root);
    faultPoint('disks.create.snapshot');
    await limitSubvolume(root, diskLimitBytes(record));
    faultPoint('disks.create.limited');
    const path = this.#recordPath(record.diskId);
    if (record.durable) await writeFileAtomic(path, formatDiskRecord(record));
    else {
      await writeFile(`${path}.tmp`, formatDiskRecord(record), { mode: 0o600 });
      await rename(`${path}.tmp`, path);
    }
    faultPoint('disks.create.recorded');
  }

  #report(record: DiskRecord, usedBytes: number): DiskReport {
    const { diskId, sandboxId, image, sizeMiB, createdAtMs, owner } = record;
    return { diskId, sandboxId, image, sizeMiB, usedBytes, createdAtMs, owner };
  }

  #directoryOf(diskId: DiskId): string {
    return join(this.#options.directory, diskId);
  }

  #recordPath(diskId: DiskId): string {
    return join(this.#directoryOf(diskId), 'disk.json');
  }
}
