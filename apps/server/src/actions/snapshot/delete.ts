import { Problem, type SnapshotId } from '@skerry/model';
import type { SnapshotRecord, StoreNouns } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { faultPoint } from '../../fault-points.ts';
import { findSnapshot } from './find.ts';
import { finishDeletion } from './finish-deletion.ts';
import { nameOf } from './name-of.ts';

/** Deletes a snapshot; `gone` says whether that is done. What was made from it stays whole. Throws `conflict` while a sandbox needs it. */
export async function deleteSnapshot(
  core: Core,
  caller: Caller,
  idOrName: string,
): Promise<{ readonly record: SnapshotRecord; readonly gone: boolean }> {
  const { id } = await findSnapshot(core, caller, idOrName);
  const record = await core.store.transaction((nouns) => giveUp(nouns, id));
  faultPoint('snapshot.deleting');
  return { record, gone: await finishDeletion(core, id) };
}

/** Marks a snapshot for deletion. Throws `conflict` when it is not complete or somebody needs it. */
async function giveUp(nouns: StoreNouns, id: SnapshotId): Promise<SnapshotRecord> {
  const current = await nouns.snapshots.find(id);
  if (current === undefined)
    throw new Problem('not_found', `There is no snapshot "${id}"`, { reason: 'snapshot_not_found' });
  if (current.status === 'deleting') return current;
  const name = nameOf(current);
  if (current.status === 'creating')
    throw new Problem('conflict', `Snapshot "${name}" is still being made`, {
      reason: 'snapshot_not_ready',
      hint: 'Delete it when it is ready.',
    });
  if (current.origin !== 'user' && current.origin !== 'import')
    throw new Problem('precondition_failed', `Snapshot "${name}" belongs to sandbox "${current.sandboxName}" itself`, {
      reason: 'snapshot_not_yours',
      hint: 'It is deleted when the sandbox needs it no more.',
    });
  // The write comes before the look: whoever begins to use it writes it too, and one of the two waits for the other.
  const next = await nouns.snapshots.change(current, { status: 'deleting' });
  const [user] = await nouns.sandboxes.listUsersOf(id);
  if (user !== undefined)
    throw new Problem('conflict', `Snapshot "${name}" is needed by sandbox "${user.name}" to start from`, {
      reason: 'snapshot_in_use',
      hint: 'Try again when that sandbox runs, or delete that sandbox first.',
    });
  return next;
}
