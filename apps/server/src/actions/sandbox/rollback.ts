import { Problem } from '@skerry/model';
import type { RollbackSandboxBody } from '@skerry/protocol';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';
import { amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { faultPoint } from '../../fault-points.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { findSnapshot } from '../snapshot/find.ts';
import { requireReady } from '../snapshot/require-ready.ts';
import { refuseWhileResting } from './admission.ts';
import { findSandbox } from './find.ts';
import { refuseWhileRollingBack } from './pause.ts';
import { refuseDeleted } from './refuse-deleted.ts';

/** Wants the disk of a sandbox to be that of a snapshot, and the sandbox to run from there. What it has now is lost once that is done. */
export async function rollBackSandbox(
  core: Core,
  caller: Caller,
  idOrName: string,
  body: RollbackSandboxBody,
  repeatable: Repeatable | undefined,
): Promise<SandboxRecord> {
  const again = (target: string): Promise<SandboxRecord> => findSandbox(core, caller, target);
  return idempotent(core, caller, repeatable, again, async (remember) => {
    refuseWhileResting(core);
    const { id } = await findSandbox(core, caller, idOrName);
    const snapshot = await findSnapshot(core, caller, body.snapshot);
    const record = await amend(core, id, async (current, nouns) => {
      refuseDeleted(current);
      const present = await nouns.snapshots.find(snapshot.id);
      requireReady(present, body.snapshot);
      await remember(nouns, id);
      if (current.rollbackTo === snapshot.id) return undefined;
      refuseWhileRollingBack(current);
      const memory = rollbackMemory(current, present, body.diskOnly === true);
      // The write keeps a deletion of the snapshot apart.
      await nouns.snapshots.change(present, {});
      return { patch: { rollbackTo: snapshot.id, rollbackMemory: memory, graceMs: 0 } };
    });
    faultPoint('rollback.wanted');
    void core.drives.wake(id, true);
    return record;
  });
}

/** Whether the memory of the snapshot comes back too. Throws when it cannot. */
function rollbackMemory(current: SandboxRecord, snapshot: SnapshotRecord, diskOnly: boolean): boolean {
  const name = snapshot.name ?? snapshot.id;
  if (current.observed === 'absent')
    throw new Problem('precondition_failed', `Sandbox "${current.name}" is being made`, {
      reason: 'sandbox_not_ready',
      hint: 'Try again when it runs.',
    });
  if (snapshot.spec.resources.diskMiB > current.resources.diskMiB)
    throw new Problem(
      'precondition_failed',
      `Snapshot "${name}" needs a disk of ${snapshot.spec.resources.diskMiB} MiB, and the sandbox has ${current.resources.diskMiB} MiB`,
      { reason: 'disk_too_small', hint: 'Create another sandbox from the snapshot.' },
    );
  if (snapshot.kind === 'disk' || diskOnly) return false;
  if (snapshot.memoryUnusable !== null)
    throw new Problem(
      'precondition_failed',
      `The memory of snapshot "${name}" cannot be brought back here: ${snapshot.memoryUnusable}`,
      { reason: 'memory_unusable', hint: 'Roll back to its files alone, with "diskOnly".' },
    );
  if (snapshot.spec.resources.memoryMiB > current.resources.memoryMiB)
    throw new Problem(
      'precondition_failed',
      `The memory of snapshot "${name}" is of a sandbox with ${snapshot.spec.resources.memoryMiB} MiB, and this one has ${current.resources.memoryMiB} MiB`,
      { reason: 'memory_too_small', hint: 'Roll back to its files alone, with "diskOnly".' },
    );
  return true;
}
