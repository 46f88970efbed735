/** Writable root file systems that outlive boots: `disks/<id>/{disk.json,root}`, made as snapshots of an image. */
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
} from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import type { ImageStore } from '../images/image-store.ts';
import { deleteSubvolumes, isSubvolume, limitSubvolume, snapshotSubvolume } from '../store/btrfs.ts';
import type { DiskSpace } from '../store/disk-space.ts';
import type { Trash } from '../store/trash.ts';
import { type DiskRecord, formatDiskRecord, parseDiskRecord } from './disk-record.ts';
import { DiskUsage } from './disk-usage.ts';

export interface DiskSpec {
  readonly diskId: DiskId;
  readonly sandboxId: SandboxId;
  readonly image: string;
  readonly sizeMiB: number;
  readonly durable: boolean;
  readonly owner: OwnerBlob;
}

export interface DisksOptions {
  /** `disks` of the store. */
  readonly directory: string;
  readonly mountPoint: string;
  readonly images: ImageStore;
  readonly trash: Trash;
  readonly space: DiskSpace;
  /** Removes what else is kept of a disk, such as the logs of its boots. */
  readonly forget: (diskId: DiskId) => Promise<void>;
  readonly log: Log;
}

const bytesPerMiB = 1024 * 1024;
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
      if (quotas.get(record.diskId)?.limitBytes !== record.sizeMiB * bytesPerMiB)
        await limitSubvolume(disks.rootOf(record.diskId), record.sizeMiB * bytesPerMiB).catch((error: unknown) =>
          options.log.error("A disk's limit cannot be set", { diskId: record.diskId, ...errorFields(error) }),
        );
    return disks;
  }

  /** Makes a disk; one that exists with the same sandbox and image is given back. */
  async create(spec: DiskSpec): Promise<DiskReport> {
    return this.#serial.run(spec.diskId, async () => {
      const existing = this.#records.get(spec.diskId);
      if (existing !== undefined) {
        if (existing.sandboxId !== spec.sandboxId || existing.image !== spec.image)
          throw new Problem('conflict', `Disk "${spec.diskId}" belongs to sandbox "${existing.sandboxId}" already`, {
            reason: 'disk_id_taken',
          });
        return this.#report(existing, 0);
      }
      const image = this.#options.images.get(spec.image);
      await this.#options.space.admit('a new disk');
      const record: DiskRecord = { formatVersion: 1, ...spec, imageKey: image.key, createdAtMs: Date.now() };
      await this.#make(record, image.root);
      this.#records.set(spec.diskId, record);
      return this.#report(record, 0);
    });
  }

  async setOwner(diskId: DiskId, owner: OwnerBlob): Promise<void> {
    await this.#serial.run(diskId, async () => {
      const record = { ...this.get(diskId), owner };
      await writeFileAtomic(this.#recordPath(diskId), formatDiskRecord(record));
      this.#records.set(diskId, record);
    });
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

  async #make(record: DiskRecord, imageRoot: string): Promise<void> {
    const root = this.rootOf(record.diskId);
    await mkdir(this.#directoryOf(record.diskId), { recursive: true, mode: 0o700 });
    faultPoint('disks.create.directory');
    // Without a record it is what an earlier try left: nobody has used it.
    if (await isSubvolume(root)) await deleteSubvolumes([root]);
    await snapshotSubvolume(imageRoot, root);
    faultPoint('disks.create.snapshot');
    await limitSubvolume(root, record.sizeMiB * bytesPerMiB);
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
