import type { EngineExit } from '@skerry/engine';
import type { BootExit, ExitReason, Problem } from '@skerry/model';

/** What the host knows of an end beyond what the engine saw. */
export interface ExitFacts {
  /** Somebody asked for the end. */
  readonly stopRequested: boolean;
  /** The sandbox's disk had reached its limit. */
  readonly diskFull: boolean;
}

const causes: Record<EngineExit['cause'], { readonly reason: ExitReason; readonly detail: string }> = {
  exited: { reason: 'exited', detail: 'The first process of the sandbox ended by itself' },
  killed: { reason: 'killed', detail: 'Something inside the sandbox killed its first process' },
  out_of_memory: { reason: 'out_of_memory', detail: 'The sandbox used up its memory' },
  out_of_processes: { reason: 'out_of_processes', detail: 'The sandbox ran more processes than it may' },
  engine_failed: { reason: 'engine_failed', detail: "The sandbox's kernel ended unexpectedly" },
};

/** Why a boot ended, from what the engine saw and what the host knows. */
export function exitReason(exit: EngineExit, facts: ExitFacts, atMs: number): BootExit {
  const status = exit.status === undefined ? {} : { status: exit.status };
  if (facts.stopRequested) return { reason: 'stopped', ...status, detail: 'It was stopped on request', atMs };
  const { reason, detail } = causes[exit.cause];
  if (exit.cause === 'exited' && exit.status === undefined)
    return { reason, detail: 'It ended while the host daemon was not there to see how', atMs };
  const clean = exit.cause === 'exited' && exit.status === 0;
  if (facts.diskFull && !clean && (reason === 'exited' || reason === 'engine_failed'))
    return { reason: 'out_of_disk', ...status, detail: "The sandbox's disk was full when it ended", atMs };
  const shown = exit.status === undefined ? '' : ` with status ${exit.status}`;
  const signal = exit.signal === undefined ? '' : ` by signal ${exit.signal}`;
  return { reason, ...status, detail: `${detail}${signal || (reason === 'exited' ? shown : '')}`, atMs };
}

/** What a start did when it failed. */
export interface FailedStep {
  /** In words, such as `preparing its network`. */
  readonly step: string;
  /** Whether it was about saved memory. */
  readonly memory: boolean;
}

/** The end of a boot that never ran. What saved memory cannot get over is `restore_failed`; what another try may get over is not. */
export function failedStart(problem: Problem, doing: FailedStep, stopRequested: boolean, atMs: number): BootExit {
  if (stopRequested) return { reason: 'stopped', detail: 'It was stopped while it started', atMs };
  const why = problem.code === 'internal' ? '' : `: ${problem.message}`;
  const reason = doing.memory && problem.code !== 'exhausted' ? 'restore_failed' : 'start_failed';
  return { reason, detail: `It failed while ${doing.step}${why}`, atMs };
}
