import { type DiskId, newId, Problem, type SnapshotId } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { isPassing } from './fail.ts';
import { beginHalt } from './halt.ts';
import { ownerOf } from './owner.ts';
import { isOwnPoint } from './points.ts';

/**
 * Goes on with a rollback of a sandbox that runs or is at rest: makes the new disk beside the old one, ends the boot, then swaps the two. Until the swap
 * the sandbox is whole, and what goes wrong leaves it as it was.
 */
export async function rollBack(
  core: Core,
  record: SandboxRecord,
  snapshotId: SnapshotId,
  signal: AbortSignal,
): Promise<boolean> {
  const diskId = record.dropDiskId;
  if (diskId === null) {
    const made = newId('disk');
    await amend(core, record.id, (current) =>
      current.rollbackTo === snapshotId && current.dropDiskId === null ? { patch: { dropDiskId: made } } : undefined,
    );
    faultPoint('rollback.disk-recorded');
    return true;
  }
  const snapshot = await core.store.snapshots.find(snapshotId);
  try {
    if (snapshot === undefined)
      throw new Problem('not_found', 'The snapshot is gone', { reason: 'snapshot_not_found' });
    await core.backend.createDisk(
      {
        diskId,
        sandboxId: record.id,
        image: snapshot.spec.image,
        sizeMiB: record.resources.diskMiB,
        durable: record.kind === 'persistent',
        owner: ownerOf(record),
        snapshotId,
      },
      signal,
    );
  } catch (error) {
    const problem = Problem.from(error);
    if (signal.aborted || isPassing(problem)) throw error;
    await failRollback(core, record, snapshotId, problem);
    return true;
  }
  faultPoint('rollback.disk-made');
  if (record.observed === 'running') return beginHalt(core, record);
  await swap(core, record, snapshotId, diskId);
  faultPoint('rollback.swapped');
  return true;
}

/** Makes the new disk the sandbox's own, and wants it to run. */
async function swap(core: Core, record: SandboxRecord, snapshotId: SnapshotId, diskId: DiskId): Promise<void> {
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'ready' || current.rollbackTo !== snapshotId || current.dropDiskId !== diskId)
      return undefined;
    if (current.desired === 'deleted') return undefined;
    const snapshot = await nouns.snapshots.find(snapshotId);
    const point = current.pointId === null ? undefined : await nouns.snapshots.find(current.pointId);
    return {
      patch: {
        diskId,
        dropDiskId: current.diskId,
        rollbackTo: null,
        generation: current.generation + 1,
        desired: 'running',
        desiredReason: 'rolled_back',
        failure: null,
        pointId: current.rollbackMemory ? snapshotId : null,
        restoreAs: snapshot?.sandboxId === current.id ? 'resume' : 'fork',
        oldPointId: isOwnPoint(point, current.id) ? current.pointId : current.oldPointId,
        ...(snapshot === undefined ? {} : { image: snapshot.spec.image, template: snapshot.spec.template }),
        sourceSnapshotId: snapshotId,
        parentSnapshotId: snapshotId,
        resume: null,
        pausedAtMs: null,
        lastUsedAtMs: Date.now(),
        ownerStale: true,
      },
      event: {
        type: 'sandbox.rolled_back',
        message: `Sandbox "${current.name}" was rolled back to snapshot "${snapshot?.name ?? snapshotId}"`,
        data: { snapshotId, generation: current.generation + 1 },
      },
    };
  });
}

/** Gives a rollback up; the sandbox is as it was. */
async function failRollback(
  core: Core,
  record: SandboxRecord,
  snapshotId: SnapshotId,
  problem: Problem,
): Promise<void> {
  core.log.warn({ sandbox: record.id, snapshot: snapshotId, err: problem }, 'A rollback failed');
  await amend(core, record.id, (current) =>
    current.rollbackTo === snapshotId
      ? {
          patch: { rollbackTo: null },
          event: {
            type: 'sandbox.rollback_failed',
            reason: problem.reason,
            message: `Sandbox "${current.name}" was not rolled back and is as it was: ${problem.message}`,
            data: { snapshotId },
          },
          failure: { undone: 'rollback', problem },
        }
      : undefined,
  );
}

/** Deletes the disk that a rollback replaced, or that it could not use. */
export async function deleteDroppedDisk(
  core: Core,
  record: SandboxRecord,
  diskId: DiskId,
  signal: AbortSignal,
): Promise<boolean> {
  await core.backend.deleteDisk(diskId, signal);
  faultPoint('rollback.old-disk-deleted');
  await amend(core, record.id, (current) =>
    current.dropDiskId === diskId && current.rollbackTo === null ? { patch: { dropDiskId: null } } : undefined,
  );
  return true;
}
