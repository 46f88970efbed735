import type { Engine, EngineDescription } from '@skerry/engine';
import type { Log } from '@skerry/kit';
import type { Disks } from '../disks/disks.ts';
import type { GuestLogs } from '../logs/guest-logs.ts';
import type { Network } from '../network/network.ts';
import type { BootFeed } from './boot-feed.ts';
import type { HostLimits } from './admission.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { DiskSpace } from '../store/disk-space.ts';
import type { BootFile } from './boot-file.ts';

/** What boots are made of. */
export interface BootParts {
  /** `boots` of the store. */
  readonly directory: string;
  /** Where a boot's directory goes before it is erased. */
  readonly trashDirectory: string;
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly network: Network;
  readonly disks: Pick<
    Disks,
    | 'get'
    | 'hold'
    | 'release'
    | 'rootOf'
    | 'isFull'
    | 'isDurable'
    | 'takenBytes'
    | 'setPoint'
    | 'clearPoint'
    | 'beginRestore'
    | 'settle'
  >;
  readonly snapshots: Pick<
    Snapshots,
    'begin' | 'has' | 'get' | 'use' | 'checkMemory' | 'whyMemoryUnusable' | 'memoryDirectoryOf'
  >;
  readonly images: Pick<ImageStore, 'envOf'>;
  readonly space: Pick<DiskSpace, 'admit' | 'freeBytes'>;
  readonly logs: Pick<GuestLogs, 'prepare' | 'resume' | 'close'>;
  readonly feed: BootFeed;
  readonly limits: HostLimits;
  /** The guest that new boots get. */
  readonly guest: { readonly path: string; readonly digest: string };
  /** Where the guest binary of a digest is kept. */
  readonly guestPathOf: (digest: string) => string;
  /** `boot_id` of this host's kernel. */
  readonly hostBootId: string;
  readonly resolvConf: string;
  /** Environment that every sandbox of this machine gets. */
  readonly machineEnv: Readonly<Record<string, string>>;
  /** PEM text of the certificate authorities that only this machine trusts. */
  readonly caBundle: string | undefined;
  /** Flushes the store to disk. */
  readonly sync: () => Promise<void>;
  /** Aborted when the daemon ends: boots go on without it. */
  readonly closing: AbortSignal;
  readonly log: Log;
}

/** One boot, for the steps that work on it. */
export interface BootContext {
  readonly parts: BootParts;
  readonly file: BootFile;
  readonly log: Log;
}
