import { Problem } from '@skerry/model';
import { type SandboxRecord, type StoredFailure, statusOf } from '@skerry/store';
import type { Core } from '../../core.ts';

/** What a caller waits for. */
export type Goal = 'running' | 'stopped' | 'deleted';

/** A sandbox after a wait, and whether it is what was waited for. */
export interface Waited {
  readonly record: SandboxRecord;
  readonly reached: boolean;
}

/** Waits until a sandbox is what is wanted. Throws its failure, or `conflict` when another call wants something else by now. */
export async function waitFor(
  core: Core,
  start: SandboxRecord,
  goal: Goal,
  waitMs: number,
  signal: AbortSignal,
): Promise<Waited> {
  let record = start;
  let wake = (): void => undefined;
  const unsubscribe = core.changes.subscribe(start.id, (changed) => {
    if (changed.version >= record.version) record = changed;
    wake();
  });
  const deadline = Date.now() + waitMs;
  const ended = AbortSignal.any([signal, core.ended]);
  try {
    // What was written between the caller's read and the subscription.
    record = (await core.store.sandboxes.find(start.id)) ?? record;
    for (;;) {
      if (isReached(record, goal)) return { record, reached: true };
      const leftMs = deadline - Date.now();
      if (leftMs <= 0 || ended.aborted) return { record, reached: false };
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 2 ** 31 - 1));
        wake = () => (clearTimeout(timer), resolve());
        ended.addEventListener('abort', wake, { once: true });
      });
      ended.removeEventListener('abort', wake);
    }
  } finally {
    unsubscribe();
  }
}

function isReached(record: SandboxRecord, goal: Goal): boolean {
  if (goal === 'deleted') return record.observed === 'gone';
  if (goal === 'running' && record.failure !== null) throw failureProblem(record, record.failure);
  if (record.desired !== goal)
    throw new Problem(
      'conflict',
      `Sandbox "${record.name}" is ${statusOf(record).status} (${statusOf(record).reason}): it was changed meanwhile`,
      {
        reason: 'superseded',
        hint: 'Look at it again, and repeat the call if that is still what you want.',
      },
    );
  return goal === 'running' ? record.observed === 'running' : record.observed === 'ready';
}

/** The failure of a sandbox as the problem that it came from. */
export function failureProblem(record: SandboxRecord, failure: StoredFailure): Problem {
  return new Problem(failure.code, failure.message, {
    reason: failure.reason,
    hint: failure.hint,
    ...(failure.exhaustion === undefined ? {} : { exhaustion: failure.exhaustion }),
    context: { sandbox: record.id },
  });
}
