import type { RestPolicy, TimeoutAction } from '@skerry/model';

export const restLevels = ['awake', 'frozen', 'paused', 'stopped'] as const;
/** How far a sandbox rests. `frozen`: in RAM, where nothing of it is saved. */
export type RestLevel = (typeof restLevels)[number];

/** An open request without bytes counts as work for so long, in `ms`. */
export const openRequestCapMs = 600_000;
/** The host's counters are compared over so long, in `ms`. */
export const sampleWindowMs = 10_000;
/** Counters that are older say nothing of now, in `ms`. */
const staleSampleMs = 30_000;
/** Share of one core above which a sandbox computes. */
export const busyCpuShare = 0.02;
/** Traffic above which a sandbox uses the network, in `bytes/s`. */
export const busyNetworkRate = 1024;
/** Longest time without work before a sandbox is frozen, in `ms`; half of `afterMs` when that is shorter. */
const mostFreezeAfterMs = 60_000;

/** What came through the door to a boot. Times are Unix `ms`. */
export interface TrafficFacts {
  readonly lastRequestAtMs: number | null;
  /** Requests under way, upgraded connections included. */
  readonly openRequests: number;
  /** Commands and terminals to which a client is attached; they are open requests too. */
  readonly attached: number;
  readonly lastBytesAtMs: number | null;
  /** When an attached client, and another open request, last counted as work. */
  readonly lastAttachedAtMs: number | null;
  readonly lastStreamAtMs: number | null;
}

/** What the host's counters say of a boot, over the window. */
export interface SampleFacts {
  /** Share of one core; absent until two samples are known. */
  readonly cpuShare?: number;
  /** In `bytes/s`, both directions together. */
  readonly networkRate?: number;
  /** Time of the newest sample. */
  readonly atMs: number;
}

export interface HoldFacts {
  readonly reason: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** Everything that decides whether a sandbox rests, and nothing else. Times are Unix `ms`. */
export interface RestFacts {
  readonly nowMs: number;
  readonly level: RestLevel;
  readonly policy: RestPolicy;
  /** Last start, resume or wake of the boot. */
  readonly startedAtMs: number | null;
  readonly traffic: TrafficFacts;
  /** Whether a gateway is connected; what comes through the door is not known without. */
  readonly seesTraffic: boolean;
  /** `null` before the first sample of this boot. */
  readonly sample: SampleFacts | null;
  readonly lastCpuAtMs: number | null;
  readonly lastNetworkAtMs: number | null;
  /** Those that have not ended, and those that ended since the last look. */
  readonly holds: readonly HoldFacts[];
  /** End of the hold that last ended. */
  readonly lastHoldAtMs: number | null;
  readonly timeoutAtMs: number | null;
  readonly onTimeout: TimeoutAction;
  /** Since when it is paused or stopped. */
  readonly restingSinceMs: number | null;
  /** Whether the engine can freeze it. */
  readonly canFreeze: boolean;
  /** A rest that failed is not tried again before. */
  readonly notBeforeMs: number | null;
}

/** Time without work after which an awake sandbox is frozen, in `ms`. */
export function freezeAfterMs(afterMs: number): number {
  return Math.min(mostFreezeAfterMs, afterMs / 2);
}

/** The window over which a rule of `afterMs` looks at counters, in `ms`: short enough to be covered before it freezes. */
export function windowOf(afterMs: number | null): number {
  return Math.min(sampleWindowMs, Math.max(1000, afterMs === null ? sampleWindowMs : freezeAfterMs(afterMs) / 2));
}

/** Whether the counters say what the sandbox does now. */
export function seesCounters(facts: Pick<RestFacts, 'sample' | 'nowMs'>): boolean {
  const { sample, nowMs } = facts;
  return sample !== null && sample.cpuShare !== undefined && nowMs - sample.atMs < staleSampleMs;
}
