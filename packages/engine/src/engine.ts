import type { BootId, EngineIdentity } from '@skerry/model';

/** What an engine can do beyond starting and ending boots; the core asks these, never an engine's name. */
export interface EngineCapabilities {
  /** Can stop all work in a boot at once and let it go on, with memory kept in RAM. */
  readonly freeze: boolean;
  /** Can save memory to a directory and start from it later. */
  readonly memorySnapshot: boolean;
  /** Form of the disks that it boots from: `tree` is a directory tree. */
  readonly diskForm: 'tree' | 'block';
}

export interface EngineDescription extends EngineIdentity {
  readonly capabilities: EngineCapabilities;
}

/** All that a boot needs from its host. Paths are the host daemon's own; nothing in here comes from a user unchecked. */
export interface EngineBootSpec {
  readonly bootId: BootId;
  /** Directory of this boot, 0700, made by the caller and removed by it after `remove`: bundle, logs and state of the engine lie here. */
  readonly directory: string;
  /** Path of the root file system in the form that the engine names. */
  readonly root: string;
  readonly hostname: string;
  /** Path of a prepared network namespace, such as `/run/netns/…`. */
  readonly networkNamespace: string;
  /** File shown as `/etc/resolv.conf`. */
  readonly resolvConf: string;
  /** The guest binary of the host, under its digest; shown read-only inside and started as PID 1. */
  readonly guestPath: string;
  /** Environment of the guest; the only channel for the boot secret. */
  readonly guestEnv: Readonly<Record<string, string>>;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** File to which stdout and stderr of the guest are appended. */
  readonly logPath: string;
}

/** How the engine saw a boot end. The host turns it into an `ExitReason` with what it knows beyond. */
export interface EngineExit {
  readonly cause: 'exited' | 'killed' | 'out_of_memory' | 'out_of_processes' | 'engine_failed';
  /** Exit status of PID 1; absent when nobody was there to see it. */
  readonly status?: number;
  /** Signal number, when a signal ended it. */
  readonly signal?: number;
  /** What the engine's own log says of it; for the log, not for users. */
  readonly detail: string;
}

export interface EngineUsage {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number;
  readonly processes: number;
}

/** What a memory image can be brought back by; kept in the manifest beside it. */
export interface EngineMemoryFormat {
  readonly engine: string;
  /** Stamp of the very binary that wrote it: only that one reads it. */
  readonly build: string;
  /** Version of the persisted boot spec. */
  readonly specVersion: number;
  /** What the processor could do when it was written: one that restores it must do all of it. */
  readonly cpuFeatures: readonly string[];
}

/** State of a boot as the engine sees it now. `absent`: the engine holds nothing of it. */
export type EngineBootState = 'absent' | 'running' | 'ended';

/**
 * The host daemon's view of an isolation technology. Every call is idempotent, keyed by the boot id, has a deadline of its own, and may be
 * repeated after a kill -9 of the caller at any instant. Errors are `Problem`s.
 */
export interface Engine {
  /** Name, version and what it can do. Throws `unsupported` with a remedy when the machine cannot run it. */
  describe(signal?: AbortSignal): Promise<EngineDescription>;
  /** Creates and starts a boot; returns when PID 1 has been started (it may not answer yet). A boot that runs already is left alone. */
  start(spec: EngineBootSpec, signal?: AbortSignal): Promise<void>;
  /** Takes over a boot that an earlier daemon started, so that `wait` learns its exit. `false` when it is not running. */
  adopt(bootId: BootId, directory: string, signal?: AbortSignal): Promise<boolean>;
  inspect(bootId: BootId, signal?: AbortSignal): Promise<EngineBootState>;
  /** Resolves when the boot has ended; at once when it has ended before. Throws `not_found` for an absent one. */
  wait(bootId: BootId, signal?: AbortSignal): Promise<EngineExit>;
  /** Ends a boot at once, without warning to what runs in it. Returns when it has ended. */
  kill(bootId: BootId, signal?: AbortSignal): Promise<void>;
  /** Ends it if needed and frees all that the engine holds: processes, control groups, state. */
  remove(bootId: BootId, directory: string, signal?: AbortSignal): Promise<void>;
  /** Every boot of this instance of which the engine still holds anything. */
  list(signal?: AbortSignal): Promise<readonly BootId[]>;
  usage(bootId: BootId, signal?: AbortSignal): Promise<EngineUsage>;
  /** Stops all work in a boot. Only with the capability `freeze`. */
  freeze(bootId: BootId, signal?: AbortSignal): Promise<void>;
  thaw(bootId: BootId, signal?: AbortSignal): Promise<void>;
  /**
   * Stops all work in a boot so that `saveMemory` can be called and the disk be snapshotted at the very same instant. Idempotent; a frozen boot
   * is thawed first. Only with the capability `memorySnapshot`, as all of the following.
   */
  suspend(bootId: BootId, signal?: AbortSignal): Promise<void>;
  /** Lets a suspended boot go on; one that is not suspended is fine. */
  unsuspend(bootId: BootId, signal?: AbortSignal): Promise<void>;
  /**
   * Saves the memory of a suspended boot into an empty directory and leaves the boot suspended, whatever happens: a save that fails never ends
   * it. Files are not synced. Throws `exhausted` (disk) when there is no room.
   */
  saveMemory(bootId: BootId, directory: string, signal?: AbortSignal): Promise<EngineMemoryFormat>;
  /** Why an image of this format cannot be brought back here; `undefined` when it can. */
  whyNotRestorable(format: EngineMemoryFormat, signal?: AbortSignal): Promise<string | undefined>;
  /**
   * As `start`, from saved memory: the disk at `root` must be as it was at that instant. Host name, environment, namespaces, paths and resources
   * may differ from those of the saved boot. Throws `data_loss` with reason `memory_image_damaged` when the image is not whole.
   */
  restore(
    spec: EngineBootSpec,
    memoryDirectory: string,
    format: EngineMemoryFormat,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Forgets the engine builds that neither these formats nor a boot need. */
  retainBuilds(formats: readonly EngineMemoryFormat[]): Promise<void>;
  /** Frees what the engine keeps on the machine for the instance as a whole; a later start makes it anew. Throws `precondition_failed` while there are boots. */
  clear(signal?: AbortSignal): Promise<void>;
}
