import type { BootId, DiskId, SandboxId, SnapshotId } from './id.ts';

/**
 * What the server wants to find again beside a disk when its database is lost: opaque to the host, which stores it with each disk.
 * Version 1; see docs/compatibility.md.
 */
export interface OwnerBlob {
  readonly version: 1;
  readonly project: string;
  readonly sandbox: Readonly<Record<string, unknown>>;
}

/** What a host says of one disk. */
export interface DiskReport {
  readonly diskId: DiskId;
  readonly sandboxId: SandboxId;
  /** Name of the image that the disk was made from. */
  readonly image: string;
  /** Limit of what may be written on top of the image, in `MiB`. */
  readonly sizeMiB: number;
  /** Bytes that this disk alone takes. */
  readonly usedBytes: number;
  readonly createdAtMs: number;
  readonly owner: OwnerBlob;
}

/** Something that a host holds and nobody owns. */
export interface GarbageItem {
  readonly kind: 'disk' | 'snapshot' | 'boot' | 'namespace' | 'cgroup' | 'runtime' | 'directory' | 'nft' | 'link';
  /** Id or kernel name of the thing. */
  readonly name: string;
  readonly reason: string;
  /** Whose it was, in words, as far as it is known. */
  readonly owner?: string;
  /** How long it has been unowned, in `ms`. */
  readonly ageMs: number;
  readonly bytes?: number;
  readonly bootId?: BootId;
  readonly diskId?: DiskId;
  readonly snapshotId?: SnapshotId;
}
