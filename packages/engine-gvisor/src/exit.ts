import { constants } from 'node:os';
import type { EngineExit } from '@skerry/engine';
import type { LimitHits } from './cgroups.ts';

/** All that is known of an ending when the boot's processes have gone. */
export interface Evidence {
  /** Wait status of PID 1, as the sandbox answered it; absent when the sandbox ended without an answer. */
  readonly waitStatus?: number;
  /** Somebody of ours asked for it. */
  readonly requested: boolean;
  /** We were connected to the sandbox when it ended. */
  readonly attended: boolean;
  /** The gofer was seen to have gone before the sandbox. */
  readonly goferLost: boolean;
  readonly hits: LimitHits;
  /** What the sentry's runtime wrote when it died; empty when it did not. */
  readonly panic: string;
}

/** Tells how a boot ended. */
export function judgeExit(evidence: Evidence): EngineExit {
  const { waitStatus, hits, panic } = evidence;
  const kill = constants.signals.SIGKILL;
  if (evidence.requested) return { cause: 'killed', signal: kill, detail: 'The engine was asked to end it' };
  const signal = (waitStatus ?? 0) & 0x7f;
  if (waitStatus !== undefined && signal === 0) {
    const status = (waitStatus >> 8) & 0xff;
    return { cause: 'exited', status, detail: `PID 1 exited with status ${status}` };
  }
  if (panic.includes('stub process') || (hits.outOfProcesses > 0 && waitStatus === undefined))
    return { cause: 'out_of_processes', detail: `The limit of host tasks was hit ${hits.outOfProcesses} times` };
  if (hits.outOfMemory > 0 && (waitStatus === undefined || signal === kill))
    return { cause: 'out_of_memory', detail: `The kernel ended ${hits.outOfMemory} processes at the memory limit` };
  if (panic !== '') return { cause: 'engine_failed', detail: `The sentry died: ${panic.slice(0, 2000)}` };
  if (evidence.goferLost && (waitStatus === undefined || signal === kill))
    return { cause: 'engine_failed', detail: 'The gofer died' };
  if (waitStatus !== undefined) return { cause: 'killed', signal, detail: `Signal ${signal} ended PID 1` };
  if (evidence.attended) return { cause: 'engine_failed', detail: 'The sentry ended without an answer' };
  return { cause: 'exited', detail: 'It ended while nobody was there to see it' };
}
