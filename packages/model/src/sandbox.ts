import type { BootExit } from './boot.ts';

/** What a person sees of a sandbox. */
export const sandboxStatuses = [
  'creating',
  'starting',
  'running',
  'pausing',
  'paused',
  'resuming',
  'stopping',
  'stopped',
  'deleting',
  'deleted',
  'failed',
] as const;
export type SandboxStatus = (typeof sandboxStatuses)[number];

export const sandboxKinds = ['persistent', 'ephemeral'] as const;
/** `persistent`: its disk outlives boots · `ephemeral`: its end deletes it, without a trace. */
export type SandboxKind = (typeof sandboxKinds)[number];

/** What should be, with the moves that an action may make. `deleted` is final. */
export const desiredMoves = {
  running: ['paused', 'stopped', 'deleted'],
  paused: ['running', 'stopped', 'deleted'],
  stopped: ['running', 'deleted'],
  deleted: [],
} as const satisfies Record<string, readonly string[]>;
export type DesiredState = keyof typeof desiredMoves;

/**
 * What is, as last seen, with the moves that the drive may make. `absent`: nothing of it exists yet · `ready`: it has a disk and no
 * boot · `booting`, `running`, `saving`, `halting`: it has both; while `saving`, memory and disk are saved so that the boot can end ·
 * `gone`: nothing of it exists any more.
 */
export const observedMoves = {
  absent: ['ready', 'gone'],
  ready: ['booting', 'gone'],
  booting: ['running', 'ready', 'halting'],
  running: ['saving', 'halting', 'ready'],
  saving: ['running', 'halting', 'ready'],
  halting: ['ready'],
  gone: [],
} as const satisfies Record<string, readonly string[]>;
export type ObservedState = keyof typeof observedMoves;

/** Says whether a move between two desired states is allowed; staying is. */
export function mayDesire(from: DesiredState, to: DesiredState): boolean {
  return from === to || (desiredMoves[from] as readonly string[]).includes(to);
}

/** Says whether a move between two observed states is allowed; staying is. */
export function mayObserve(from: ObservedState, to: ObservedState): boolean {
  return from === to || (observedMoves[from] as readonly string[]).includes(to);
}

/** Why a sandbox cannot reach what is wanted, what of it still exists, and what can be done. */
export interface SandboxFailure {
  readonly reason: string;
  readonly message: string;
  /** What still exists, such as `disk`. */
  readonly remains: readonly string[];
  readonly hint: string;
}

/** The facts that a status is made from. */
export interface StatusFacts {
  readonly desired: DesiredState;
  readonly observed: ObservedState;
  /** Whether it has ever been running. */
  readonly everRan: boolean;
  /** Whether the next boot goes on from saved memory. */
  readonly hasPoint: boolean;
  /** Why the desired state is what it is, such as `requested` or `timeout`. */
  readonly desiredReason: string;
  readonly failure?: SandboxFailure;
  readonly lastExit?: BootExit;
}

/** The status and its reason: a pure function of desired and observed. */
export function sandboxStatus(facts: StatusFacts): { readonly status: SandboxStatus; readonly reason: string } {
  const { desired, observed, failure } = facts;
  if (observed === 'gone') return { status: 'deleted', reason: facts.desiredReason };
  if (desired === 'deleted') return { status: 'deleting', reason: facts.desiredReason };
  if (failure !== undefined) return { status: 'failed', reason: failure.reason };
  if (desired === 'running') {
    if (observed === 'running') return { status: 'running', reason: facts.desiredReason };
    if (!facts.everRan) return { status: 'creating', reason: facts.desiredReason };
    if (observed === 'saving') return { status: 'pausing', reason: facts.desiredReason };
    if (observed !== 'halting' && facts.hasPoint) return { status: 'resuming', reason: facts.desiredReason };
    return {
      status: observed === 'halting' ? 'stopping' : 'starting',
      reason: facts.lastExit?.reason ?? facts.desiredReason,
    };
  }
  if (desired === 'paused') {
    if (!facts.everRan) return { status: 'creating', reason: facts.desiredReason };
    return { status: observed === 'ready' ? 'paused' : 'pausing', reason: facts.desiredReason };
  }
  if (observed === 'absent') return { status: 'creating', reason: facts.desiredReason };
  if (observed === 'ready') return { status: 'stopped', reason: facts.desiredReason };
  return { status: 'stopping', reason: facts.desiredReason };
}

export const timeoutActions = ['pause', 'stop', 'delete'] as const;
/** What happens when a sandbox's timeout is reached. */
export type TimeoutAction = (typeof timeoutActions)[number];

export const restActions = ['pause', 'stop', 'delete'] as const;
/** What resting means for a sandbox in which nothing works. */
export type RestAction = (typeof restActions)[number];

export const wakeSources = ['request', 'api', 'never'] as const;
/** What wakes a paused sandbox: a request to it (the API included) · only a call of the API that needs it or resumes it · only `resume`. */
export type WakeOn = (typeof wakeSources)[number];

/** When and how a sandbox rests by itself. */
export interface RestPolicy {
  /** Time without work after which it rests, in `ms`; `null`: never. */
  readonly afterMs: number | null;
  readonly action: RestAction;
  readonly wakeOn: WakeOn;
  /** Time without use after which a resting sandbox is deleted, in `ms`; `null`: never. */
  readonly expireAfterMs: number | null;
}

const minuteMs = 60_000;
/** Decision 27: rest after ten minutes of no work. An ephemeral sandbox does not rest. */
export const defaultRest: Readonly<Record<SandboxKind, RestPolicy>> = {
  persistent: { afterMs: 10 * minuteMs, action: 'pause', wakeOn: 'request', expireAfterMs: null },
  ephemeral: { afterMs: null, action: 'delete', wakeOn: 'request', expireAfterMs: null },
};

/** How the last boot that should have gone on from saved memory did so. */
export interface ResumeStory {
  readonly from: 'memory' | 'disk';
  /** What did not come back, such as `processes`; only when it came from disk. */
  readonly lost?: string;
  readonly why?: string;
  readonly atMs: number;
}
