import { checkName, newId, Problem } from '@skerry/model';
import type { CreateSnapshotBody } from '@skerry/protocol';
import type { SnapshotRecord } from '@skerry/store';
import { amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { savesMemory } from '../../drives/target.ts';
import { faultPoint } from '../../fault-points.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { refuseWhileResting } from '../sandbox/admission.ts';
import { findSandbox } from '../sandbox/find.ts';
import { refuseDeleted } from '../sandbox/refuse-deleted.ts';
import { findSnapshot } from './find.ts';
import { kindFor } from './kind-for.ts';
import { newSnapshotRecord } from './new-record.ts';

/** Records a snapshot that is to be made of a sandbox, and sets the sandbox's drive going. */
export async function createSnapshot(
  core: Core,
  caller: Caller,
  sandbox: string,
  body: CreateSnapshotBody,
  repeatable: Repeatable | undefined,
): Promise<SnapshotRecord> {
  const again = (target: string): Promise<SnapshotRecord> => findSnapshot(core, caller, target);
  return idempotent(core, caller, repeatable, again, async (remember) => {
    refuseWhileResting(core);
    if (body.name !== undefined) checkName(body.name);
    const found = await findSandbox(core, caller, sandbox);
    const saves = body.kind !== 'disk' && (await savesMemory(core, found));
    const id = newId('snapshot');
    let recorded: SnapshotRecord | undefined;
    await amend(core, found.id, async (current, nouns) => {
      refuseDeleted(current);
      if (current.observed === 'absent' && current.failure !== null)
        throw new Problem('precondition_failed', `Sandbox "${current.name}" failed before it had a disk`, {
          reason: 'no_disk',
        });
      recorded = newSnapshotRecord(current, {
        id,
        kind: kindFor(current, saves, body.kind),
        origin: 'user',
        ...(body.name === undefined ? {} : { name: body.name }),
        ...(body.keepLast === undefined ? {} : { keepLast: body.keepLast }),
        ...(body.expireAfterMs === undefined ? {} : { expiresAtMs: Date.now() + body.expireAfterMs }),
      });
      await nouns.snapshots.insert(recorded);
      await remember(nouns, id);
      return undefined;
    });
    faultPoint('snapshot.recorded');
    void core.drives.wake(found.id);
    if (recorded === undefined) throw new Problem('internal', 'The snapshot was not recorded');
    return recorded;
  });
}
