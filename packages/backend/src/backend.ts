import type {
  BootActivity,
  BootId,
  BootReport,
  DiskDiff,
  DiskId,
  DiskReport,
  EngineIdentity,
  GarbageItem,
  HostId,
  Isolation,
  OwnerBlob,
  SandboxId,
  SnapshotId,
  SnapshotOrigin,
  SnapshotReport,
  SnapshotSource,
} from '@skerry/model';

/** An image that a backend can make disks from. */
export interface BackendImage {
  readonly name: string;
  /** Content key: another recipe or content has another key. */
  readonly key: string;
  readonly sizeBytes: number;
  readonly user: string;
  readonly workdir: string;
}

/** What a backend is and can do; asked before a request is accepted. */
export interface BackendDescription {
  readonly hostId: HostId;
  readonly engines: readonly (EngineIdentity & { readonly freeze: boolean; readonly memorySnapshot: boolean })[];
  readonly images: readonly BackendImage[];
  readonly cpus: number;
  readonly memoryMiB: number;
  /** What the machine could give to new boots now, in `MiB`; absent when it is not known. Below a mark, frozen sandboxes are paused. */
  readonly memoryAvailableMiB?: number;
  /** What may still be written before admission refuses, in `bytes`. */
  readonly diskFreeBytes: number;
  readonly guestDigest: string;
}

export interface DiskSpec {
  readonly diskId: DiskId;
  readonly sandboxId: SandboxId;
  readonly image: string;
  readonly sizeMiB: number;
  /** Whether it must survive power loss when `createDisk` returns; an ephemeral sandbox's need not. */
  readonly durable: boolean;
  readonly owner: OwnerBlob;
  /** Made from this snapshot's files instead of the bare image. */
  readonly snapshotId?: SnapshotId;
}

export interface SnapshotSpec {
  readonly snapshotId: SnapshotId;
  readonly sandboxId: SandboxId;
  readonly source: SnapshotSource;
  readonly origin: SnapshotOrigin;
  readonly owner: OwnerBlob;
}

/** One side of a comparison. */
export type DiskState = { readonly diskId: DiskId } | { readonly snapshotId: SnapshotId };

export interface BootRequest {
  readonly bootId: BootId;
  readonly sandboxId: SandboxId;
  readonly diskId: DiskId;
  readonly hostname: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** The weakest isolation accepted; `any` is the backend's default. */
  readonly isolation: Isolation | 'any';
  /** Counts the lives of the sandbox's identity: part of its access token. */
  readonly generation: number;
  readonly accessToken: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir?: string;
  /**
   * Goes on from the memory of this snapshot; the disk must have been made from it, or be the one that it was taken from and unused since.
   * When that cannot be done the boot ends as `restore_failed`.
   */
  readonly restoreFrom?: SnapshotId;
  /** Why the memory is brought back; tells the guest which hooks to run. `fork`: as another sandbox than the one that was saved. */
  readonly restoreAs?: 'resume' | 'fork';
}

/** One thing told by `watch`: first `boot` for every boot there is, then `synced`, then changes as they happen. */
export type BackendEvent =
  | { readonly type: 'boot'; readonly boot: BootReport }
  | { readonly type: 'synced' }
  | { readonly type: 'boot_forgotten'; readonly bootId: BootId };

/**
 * The server's view of a place that runs boots. Every call is idempotent and keyed by the ids in it: repeating one gives the same result.
 * Errors are `Problem`s; `unavailable` means that the same call may be repeated later.
 */
export interface Backend {
  describe(signal?: AbortSignal): Promise<BackendDescription>;
  createDisk(spec: DiskSpec, signal?: AbortSignal): Promise<DiskReport>;
  /** Replaces the owner blob that is kept beside the disk. */
  setDiskOwner(diskId: DiskId, owner: OwnerBlob, signal?: AbortSignal): Promise<void>;
  /** Deletes a disk and all traces; an absent one is fine. Throws `conflict` while a boot uses it. */
  deleteDisk(diskId: DiskId, signal?: AbortSignal): Promise<void>;
  listDisks(signal?: AbortSignal): Promise<readonly DiskReport[]>;
  /** Boots from a disk; returns when the guest is initialised and answers. A boot that failed to start is reported `ended`. */
  startBoot(request: BootRequest, signal?: AbortSignal): Promise<BootReport>;
  /** Ends a boot: asks what runs to end within `graceMs`, then kills; the disk is synced when it returns. An ended one is fine. */
  stopBoot(bootId: BootId, graceMs: number, signal?: AbortSignal): Promise<BootReport>;
  /** Forgets an ended boot and removes all of it; ends it first if needed. An absent one is fine. */
  deleteBoot(bootId: BootId, signal?: AbortSignal): Promise<void>;
  getBoot(bootId: BootId, signal?: AbortSignal): Promise<BootReport>;
  listBoots(signal?: AbortSignal): Promise<readonly BootReport[]>;
  watch(signal: AbortSignal): AsyncIterable<BackendEvent>;
  /**
   * Saves a snapshot; returns when it is complete and durable. A source boot with `end` has ended then (`paused`); when saving fails, the boot goes
   * on running and this throws: `exhausted` (disk) when there is no room, `precondition_failed` when the boot cannot be saved.
   */
  createSnapshot(spec: SnapshotSpec, signal?: AbortSignal): Promise<SnapshotReport>;
  /** Throws `not_found`; one that is not complete does not exist. */
  getSnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<SnapshotReport>;
  listSnapshots(signal?: AbortSignal): Promise<readonly SnapshotReport[]>;
  /** Replaces the owner blob that is kept beside the snapshot. */
  setSnapshotOwner(snapshotId: SnapshotId, owner: OwnerBlob, signal?: AbortSignal): Promise<void>;
  /** Deletes a snapshot and all traces; an absent one is fine. Disks made from it stay whole. Throws `conflict` while a boot is restored from it. */
  deleteSnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<void>;
  /** Reads everything of a snapshot and compares it with its digests. Throws `data_loss`. */
  verifySnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<void>;
  /** What is different in `after`, at most `limit` changes, ordered by path. */
  diff(before: DiskState, after: DiskState, limit: number, signal?: AbortSignal): Promise<DiskDiff>;
  /** One file with all of a snapshot: zstd over tar with manifest and digests; the memory where asked and there is some. */
  exportSnapshot(snapshotId: SnapshotId, memory: boolean, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Makes a snapshot from such a file. Throws `data_loss` when it is damaged, `unsupported` when it cannot be brought back here at all.
   * `lost` names what was left out, such as a memory image that no trusted key signed.
   */
  importSnapshot(
    snapshotId: SnapshotId,
    sandboxId: SandboxId,
    owner: OwnerBlob,
    content: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ readonly snapshot: SnapshotReport; readonly exported: OwnerBlob; readonly lost: readonly string[] }>;
  /** Stops all work in a boot, with its memory kept in RAM. Idempotent. Any verb that needs the boot thaws it first. */
  freezeBoot(bootId: BootId, signal?: AbortSignal): Promise<void>;
  thawBoot(bootId: BootId, signal?: AbortSignal): Promise<void>;
  /** What every running boot uses, from the host's counters. */
  sampleActivity(signal?: AbortSignal): Promise<readonly BootActivity[]>;
  /** The last `maxBytes` of what the guest and the start command printed, of the disk's newest boots. */
  readLog(diskId: DiskId, maxBytes: number, signal?: AbortSignal): Promise<string>;
  /** What the backend holds that none of its own records explains. */
  listGarbage(signal?: AbortSignal): Promise<readonly GarbageItem[]>;
  /** Removes garbage that is older than `minAgeMs`; says what was removed. */
  collectGarbage(minAgeMs: number, signal?: AbortSignal): Promise<readonly GarbageItem[]>;
}
