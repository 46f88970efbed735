import { Problem, type SnapshotId } from '@skerry/model';
import type { Core } from '../../core.ts';
import { finishDeletion } from './finish-deletion.ts';

/** Deletes the snapshot that forks, or an imported sandbox, were made from once none of them needs it any more. Any other snapshot stays. */
export async function releaseForkPoint(core: Core, id: SnapshotId): Promise<void> {
  try {
    const released = await core.store.transaction(async (nouns) => {
      const point = await nouns.snapshots.find(id);
      if (point === undefined || point.status !== 'ready') return false;
      if (point.origin !== 'fork' && point.origin !== 'import') return false;
      if ((await nouns.sandboxes.listUsersOf(id)).length > 0) return false;
      await nouns.snapshots.change(point, { status: 'deleting' });
      return true;
    });
    if (released) await finishDeletion(core, id);
  } catch (error) {
    // Another fork that came up at the same time does it.
    if (!(error instanceof Problem) || error.reason !== 'changed_meanwhile') throw error;
  }
}
