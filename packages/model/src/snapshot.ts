import type { EngineIdentity } from './boot.ts';
import type { OwnerBlob } from './disk.ts';
import type { BootId, DiskId, SandboxId, SnapshotId } from './id.ts';

export const snapshotKinds = ['disk', 'memory'] as const;
/** `disk`: files only · `memory`: files and memory of one instant. */
export type SnapshotKind = (typeof snapshotKinds)[number];

export const snapshotOrigins = ['user', 'pause', 'fork', 'export', 'import'] as const;
/** Who made it: `user` ones stay until deleted or expired; a `pause` one until the next; `fork` and `export` ones until that is done. */
export type SnapshotOrigin = (typeof snapshotOrigins)[number];

/** What a snapshot is made of: a running boot, a disk that no boot uses, or another snapshot. */
export type SnapshotSource =
  | {
      readonly type: 'boot';
      readonly bootId: BootId;
      readonly memory: boolean;
      /** `true`: the boot ends once the snapshot is durable (a pause). When anything fails before that, the boot goes on. */
      readonly end: boolean;
    }
  | { readonly type: 'disk'; readonly diskId: DiskId }
  | { readonly type: 'snapshot'; readonly snapshotId: SnapshotId };

/** What a backend says of one snapshot. It exists only when it is complete and durable. */
export interface SnapshotReport {
  readonly snapshotId: SnapshotId;
  readonly sandboxId: SandboxId;
  readonly kind: SnapshotKind;
  /** Name of the image below the disk. */
  readonly image: string;
  /** Limit of a disk made from it, in `MiB`. */
  readonly sizeMiB: number;
  /** Resources of the boot whose memory it holds: a restore needs at least these. */
  readonly memoryMiB?: number;
  readonly engine?: EngineIdentity;
  readonly guestDigest?: string;
  /** Why its memory cannot be brought back here, such as another processor; absent when it can. Its disk always can. */
  readonly memoryUnusable?: string;
  readonly createdAtMs: number;
  /** How long work in the boot stood still, in `ms`. */
  readonly stallMs?: number;
  /** Bytes of the files below it that the image does not have; shared with other snapshots and disks or not. */
  readonly diskBytes: number;
  /** Bytes that its deletion would free. */
  readonly exclusiveBytes: number;
  readonly memoryBytes: number;
  readonly owner: OwnerBlob;
}

export const snapshotStatuses = ['creating', 'ready', 'deleting'] as const;
/** A snapshot that could not be made does not stay: the call that asked for it says why. */
export type SnapshotStatus = (typeof snapshotStatuses)[number];

export const diskChanges = ['added', 'changed', 'deleted'] as const;

/** One file that differs between two states of a disk. */
export interface DiskChange {
  readonly change: (typeof diskChanges)[number];
  /** Absolute path inside. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Size in `bytes` in the newer state; of a deleted one, in the older. */
  readonly bytes: number;
}

export interface DiskDiff {
  readonly changes: readonly DiskChange[];
  /** Whether there are more changes than were asked for. */
  readonly truncated: boolean;
}
