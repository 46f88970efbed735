import { Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';

const passing: ReadonlySet<string> = new Set(['unavailable', 'deadline', 'cancelled', 'conflict']);

/** Whether a problem passes by itself: the step is repeated. */
export function isPassing(problem: Problem): boolean {
  return passing.has(problem.code);
}

/** Runs a step towards running. What cannot pass by itself is recorded as the sandbox's failure, and `undefined` is given back. */
export async function orFail<T>(
  core: Core,
  record: SandboxRecord,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const problem = Problem.from(error);
    if (signal.aborted || isPassing(problem)) throw error;
    core.log.error({ sandbox: record.id, reason: problem.reason, err: error }, 'A sandbox cannot reach what is wanted');
    await recordFailure(core, record, problem);
    return undefined;
  }
}

/** Records why a sandbox cannot run. An ephemeral one is deleted. */
export async function recordFailure(core: Core, record: SandboxRecord, problem: Problem): Promise<void> {
  await amend(core, record.id, (current) => {
    if (current.desired !== 'running' && current.desired !== 'paused') return undefined;
    const failure = {
      code: problem.code,
      ...(problem.exhaustion === undefined ? {} : { exhaustion: problem.exhaustion }),
      reason: problem.reason,
      message: problem.message,
      remains: current.observed === 'absent' ? [] : ['disk'],
      hint:
        problem.hint ?? `Try again with "skerry start ${current.name}", or delete it with "skerry rm ${current.name}".`,
    };
    return {
      patch: {
        failure,
        desired: 'running',
        ...(current.kind === 'ephemeral' ? { desired: 'deleted', desiredReason: 'failed', graceMs: 0 } : {}),
      },
      event: { type: 'sandbox.failed', reason: failure.reason, message: failure.message },
    };
  });
}
