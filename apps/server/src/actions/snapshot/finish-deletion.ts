import type { SnapshotId } from '@skerry/model';
import type { Core } from '../../core.ts';
import { faultPoint } from '../../fault-points.ts';
import { nameOf } from './name-of.ts';

/**
 * Deletes a snapshot that was given up for deletion. Gives back whether it is gone; a backend that cannot do it now is asked again by a reconciler.
 * With `must` its problem is thrown.
 */
export async function finishDeletion(core: Core, id: SnapshotId, must = false): Promise<boolean> {
  const record = await core.store.snapshots.find(id);
  if (record === undefined) return true;
  if (record.status !== 'deleting') return false;
  try {
    await core.backend.deleteSnapshot(id);
  } catch (error) {
    if (must) throw error;
    core.log.warn({ snapshot: id, err: error }, 'A snapshot could not be deleted now');
    return false;
  }
  faultPoint('snapshot.deleted');
  await core.store.transaction(async (nouns) => {
    const current = await nouns.snapshots.find(id);
    if (current === undefined) return;
    await nouns.snapshots.remove(id);
    // A database that was rebuilt may not know the sandbox that a snapshot was made of.
    if (current.origin === 'pause' || (await nouns.sandboxes.find(current.sandboxId)) === undefined) return;
    await nouns.events.append({
      projectId: current.projectId,
      sandboxId: current.sandboxId,
      type: 'snapshot.deleted',
      atMs: Date.now(),
      message: `Snapshot "${nameOf(current)}" of sandbox "${current.sandboxName}" was deleted`,
      data: { snapshotId: id },
    });
  });
  if (Object.keys(record.spec.env).length > 0) await core.store.scrub();
  return true;
}
