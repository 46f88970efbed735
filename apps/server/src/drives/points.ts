import type { SandboxId, SnapshotId } from '@skerry/model';
import type { SandboxRecord, StoreNouns } from '@skerry/store';
import { finishDeletion } from '../actions/snapshot/finish-deletion.ts';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';

/**
 * Lets go of points that a sandbox at rest needs no more: the one before the present rest point, and the memory of one that was stopped. `false`
 * when there is none.
 */
export async function dropOldPoints(core: Core, record: SandboxRecord): Promise<boolean> {
  const { pointId, oldPointId } = record;
  // A boot that ended by itself left no rest point: the older one stays until there is one.
  const restsAnew = pointId !== null || record.desired !== 'running';
  if (oldPointId !== null && restsAnew) {
    await drop(core, record.id, 'oldPointId', oldPointId);
    return true;
  }
  if (pointId !== null && record.desired === 'stopped') {
    await drop(core, record.id, 'pointId', pointId);
    return true;
  }
  return false;
}

async function drop(core: Core, id: SandboxId, field: 'pointId' | 'oldPointId', point: SnapshotId): Promise<void> {
  await amend(core, id, async (current, nouns) => {
    if (current[field] !== point) return undefined;
    // A start that came meanwhile goes on from it.
    if (field === 'pointId' && current.desired !== 'stopped') return undefined;
    await forsakePoint(nouns, current.id, point);
    return { patch: { [field]: null } };
  });
  faultPoint('point.dropped');
  await finishDeletion(core, point);
}

/** Gives a pause point of a sandbox up for deletion; a snapshot that somebody made stays. */
export async function forsakePoint(nouns: StoreNouns, owner: SandboxId, id: SnapshotId): Promise<void> {
  const point = await nouns.snapshots.find(id);
  if (point !== undefined && isOwnPoint(point, owner) && point.status !== 'deleting')
    await nouns.snapshots.change(point, { status: 'deleting' });
}

/** Whether a snapshot is a pause point of this sandbox, which nobody but the sandbox needs. */
export function isOwnPoint(
  snapshot: { readonly origin: string; readonly sandboxId: SandboxId } | undefined,
  owner: SandboxId,
): boolean {
  return snapshot?.origin === 'pause' && snapshot.sandboxId === owner;
}
