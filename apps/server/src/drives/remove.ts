import { Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { finishDeletion } from '../actions/snapshot/finish-deletion.ts';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { failSnapshot } from './snapshots.ts';

/** ready or absent → gone: deletes the sandbox's own points and its disks, then everything that was secret. What somebody made of it stays. */
export async function removeAll(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  await removePoints(core, record);
  faultPoint('delete.points-deleted');
  await core.backend.deleteDisk(record.diskId, signal);
  if (record.dropDiskId !== null) await core.backend.deleteDisk(record.dropDiskId, signal);
  faultPoint('delete.disk-deleted');
  if (Object.keys(record.env).length > 0) {
    await amend(core, record.id, () => ({ patch: { env: {} } }));
    await core.store.scrub();
  }
  await amend(core, record.id, (current) =>
    current.observed === 'gone'
      ? undefined
      : {
          patch: {
            observed: 'gone',
            deletedAtMs: Date.now(),
            env: {},
            timeoutAtMs: null,
            ownerStale: false,
            pointId: null,
            oldPointId: null,
            savingId: null,
            rollbackTo: null,
            dropDiskId: null,
          },
          event: {
            type: 'sandbox.deleted',
            reason: current.desiredReason,
            message: `Sandbox "${current.name}" was deleted`,
          },
        },
  );
  faultPoint('delete.recorded');
  return false;
}

/** Deletes every pause point, and takes back what was asked to be saved of the sandbox and is not. */
async function removePoints(core: Core, record: SandboxRecord): Promise<void> {
  for (const snapshot of await core.store.snapshots.listOf(record.id)) {
    if (snapshot.origin === 'pause') {
      if (snapshot.status !== 'deleting') {
        await amend(core, record.id, async (_, nouns) => {
          const current = await nouns.snapshots.find(snapshot.id);
          if (current !== undefined) await nouns.snapshots.change(current, { status: 'deleting' });
          return undefined;
        });
      }
      await finishDeletion(core, snapshot.id, true);
    } else if (snapshot.status === 'creating' && snapshot.origin !== 'import') {
      await failSnapshot(
        core,
        record,
        snapshot,
        new Problem('conflict', `Sandbox "${record.name}" was deleted before its snapshot was made`, {
          reason: 'superseded',
        }),
      );
    }
  }
}
