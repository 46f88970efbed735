import type { BootId, DiskId, SandboxId } from './id.ts';

/** Why a boot ended. */
export const exitReasons = [
  'stopped',
  'paused',
  'exited',
  'killed',
  'out_of_memory',
  'out_of_disk',
  'out_of_processes',
  'engine_failed',
  'host_restarted',
  'start_failed',
  'restore_failed',
] as const;

/**
 * `stopped`: somebody asked · `paused`: its memory and disk were saved first · `exited`: the guest ended by itself · `killed`: by a signal nobody of ours sent · `out_of_memory`,
 * `out_of_disk`, `out_of_processes`: the sandbox hit its limit · `engine_failed`: the sandbox's kernel died · `host_restarted`: the machine
 * went down · `start_failed`: it never became ready · `restore_failed`: its saved memory could not be brought back, and its disk is whole.
 */
export type ExitReason = (typeof exitReasons)[number];

/** How a boot ended. */
export interface BootExit {
  readonly reason: ExitReason;
  /** Exit status of the guest, when it is known. */
  readonly status?: number;
  /** One sentence for a person. */
  readonly detail: string;
  /** Unix time in `ms`; for an exit that happened unseen, when it was found. */
  readonly atMs: number;
}

/** What a boot used, from the host's cgroups. */
export interface BootUsage {
  readonly cpuMs: number;
  readonly memoryPeakBytes: number;
  readonly networkInBytes: number;
  readonly networkOutBytes: number;
}

/** The observed states of a boot on its host, with the allowed moves. */
export const bootMoves = {
  starting: ['running', 'ended'],
  running: ['stopping', 'ended'],
  stopping: ['ended'],
  ended: [],
} as const satisfies Record<string, readonly string[]>;
export type BootState = keyof typeof bootMoves;

/** What a host says of one boot. */
export interface BootReport {
  readonly bootId: BootId;
  readonly sandboxId: SandboxId;
  readonly diskId: DiskId;
  readonly state: BootState;
  readonly engine: EngineIdentity;
  /** The guest that runs in it; absent until it has answered. */
  readonly guest?: GuestIdentity;
  /** Address of the sandbox as the gateway reaches it, such as `10.201.0.7`; only while `running`. */
  readonly address?: string;
  readonly startedAtMs: number;
  readonly exit?: BootExit;
  readonly usage?: BootUsage;
}

/** Isolation from weaker to stronger; a request names the weakest that it accepts. */
export const isolations = ['gvisor', 'microvm'] as const;
export type Isolation = (typeof isolations)[number];

/** Which engine runs a boot. `build` is the stamp of the very binary. */
export interface EngineIdentity {
  readonly name: string;
  readonly version: string;
  readonly build: string;
  readonly isolation: Isolation;
}

export interface GuestIdentity {
  readonly version: string;
  readonly digest: string;
  readonly protocolVersion: number;
}

/** What one running boot has used so far and does now, from the host's counters, never from the guest. */
export interface BootActivity {
  readonly bootId: BootId;
  /** CPU time since its start, in `ms`. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly networkInBytes: number;
  readonly networkOutBytes: number;
  readonly frozen: boolean;
  /** Unix time of the sample, in `ms`. */
  readonly atMs: number;
}
