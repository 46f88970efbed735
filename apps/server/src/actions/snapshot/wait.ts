import { Problem } from '@skerry/model';
import type { SnapshotRecord } from '@skerry/store';
import type { Core } from '../../core.ts';
import { nameOf } from './name-of.ts';

/** Waits until a snapshot is complete, and says whether it is. Throws why it could not be made. */
export async function waitForSnapshot(
  core: Core,
  start: SnapshotRecord,
  waitMs: number,
  signal: AbortSignal,
): Promise<{ readonly record: SnapshotRecord; readonly reached: boolean }> {
  let record: SnapshotRecord | undefined = start;
  let wake = (): void => undefined;
  const unsubscribe = core.changes.subscribeSnapshot(start.id, (changed) => {
    record = changed;
    wake();
  });
  const deadline = Date.now() + waitMs;
  const ended = AbortSignal.any([signal, core.ended]);
  try {
    record = await core.store.snapshots.find(start.id);
    for (;;) {
      if (record === undefined || record.status === 'deleting')
        throw (
          core.changes.failureSince(start.id, 'snapshot', start.version) ??
          new Problem('not_found', `Snapshot "${nameOf(start)}" was deleted meanwhile`, {
            reason: 'snapshot_not_found',
          })
        );
      if (record.status === 'ready') return { record, reached: true };
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
