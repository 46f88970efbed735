import { Problem } from '@skerry/model';
import { type SandboxRecord, type StoredFailure, statusOf } from '@skerry/store';
import type { Undone } from '../../changes.ts';
import type { Core } from '../../core.ts';

/** What a caller waits for. `rolled_back`: that it runs after its rollback. */
export type Goal = 'running' | 'paused' | 'stopped' | 'deleted' | 'rolled_back';

/** What it is called when a goal is given up. */
const undoneBy: Partial<Record<Goal, Undone>> = { paused: 'pause', rolled_back: 'rollback', running: 'fork' };

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
      const undone = undoneBy[goal];
      const failure = undone === undefined ? undefined : core.changes.failureSince(start.id, undone, start.version);
      if (failure !== undefined) throw failure;
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
  if (goal === 'rolled_back') {
    if (record.rollbackTo !== null && record.desired !== 'deleted') return false;
    return isReached(record, 'running');
  }
  if (goal !== 'stopped' && record.failure !== null) throw failureProblem(record, record.failure);
  if (record.desired !== goal)
    throw new Problem(
      'conflict',
      `Sandbox "${record.name}" is ${statusOf(record).status} (${statusOf(record).reason}): it was changed meanwhile`,
      {
        reason: 'superseded',
        hint: 'Look at it again, and repeat the call if that is still what you want.',
      },
    );
  if (goal === 'running') return record.observed === 'running';
  // The memory of what was stopped is given up before the stop is done.
  return record.observed === 'ready' && (goal === 'paused' ? record.everRan : record.pointId === null);
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

/**
 * Waits until all of some sandboxes run that were made by one call, or cannot. Throws when not one of them does; what became of each is in its record
 * otherwise.
 */
export async function waitForAll(
  core: Core,
  starts: readonly SandboxRecord[],
  waitMs: number,
  signal: AbortSignal,
): Promise<{ readonly records: readonly SandboxRecord[]; readonly reached: boolean }> {
  const ends = await Promise.allSettled(starts.map((start) => waitFor(core, start, 'running', waitMs, signal)));
  const [first] = ends;
  if (first?.status === 'rejected' && ends.every(({ status }) => status === 'rejected')) throw first.reason;
  const records: SandboxRecord[] = [];
  for (const [index, start] of starts.entries()) {
    const end = ends[index];
    records.push(
      end?.status === 'fulfilled' ? end.value.record : ((await core.store.sandboxes.find(start.id)) ?? start),
    );
  }
  return { records, reached: ends.every((end) => end.status === 'rejected' || end.value.reached) };
}
