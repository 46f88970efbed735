import { releaseForkPoint } from '../actions/snapshot/release-fork-point.ts';
import { finishDeletion } from '../actions/snapshot/finish-deletion.ts';
import type { Core } from '../core.ts';
import { ownerOfSnapshot } from '../drives/owner.ts';

const mostAtOnce = 100;

/** Deletes snapshots whose time is over or that were given up, and brings the owner blobs beside the others up to date. */
export async function tidySnapshots(core: Core): Promise<void> {
  await expireSnapshots(core);
  for (const { id } of await core.store.snapshots.listForkPoints()) await releaseForkPoint(core, id);
  for (const { id, status } of await core.store.snapshots.listUnsettled())
    if (status === 'deleting') await finishDeletion(core, id);
  for (const snapshot of await core.store.snapshots.listStale(mostAtOnce)) {
    await core.backend.setSnapshotOwner(snapshot.id, ownerOfSnapshot(snapshot));
    await core.store.transaction(async (nouns) => {
      const current = await nouns.snapshots.find(snapshot.id);
      if (current?.version === snapshot.version) await nouns.snapshots.change(current, { ownerStale: false });
    });
  }
}

/** One that a sandbox still needs to start from is left until it is not needed. */
async function expireSnapshots(core: Core): Promise<void> {
  for (const { id } of await core.store.snapshots.listExpired(Date.now(), mostAtOnce)) {
    await core.store.transaction(async (nouns) => {
      const current = await nouns.snapshots.find(id);
      if (current?.status !== 'ready' || (await nouns.sandboxes.listUsersOf(id)).length > 0) return;
      await nouns.snapshots.change(current, { status: 'deleting' });
    });
  }
}
