import type { SandboxRecord } from '@skerry/store';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { orFail } from './fail.ts';
import { ownerOf } from './owner.ts';

/** absent → ready: makes the disk. */
export async function createDisk(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  const { sourceSnapshotId } = record;
  if (sourceSnapshotId !== null) {
    // A fork is recorded before its snapshot is made; it is woken when that is there.
    const source = await core.store.snapshots.find(sourceSnapshotId);
    if (source?.status === 'creating') return false;
  }
  const made = await orFail(core, record, signal, () =>
    core.backend.createDisk(
      {
        diskId: record.diskId,
        sandboxId: record.id,
        image: record.image,
        sizeMiB: record.resources.diskMiB,
        durable: record.kind === 'persistent',
        owner: ownerOf(record),
        ...(sourceSnapshotId === null ? {} : { snapshotId: sourceSnapshotId }),
      },
      signal,
    ),
  );
  if (made === undefined) return true;
  faultPoint('create.disk-made');
  await amend(core, record.id, (current) =>
    current.observed === 'absent'
      ? { patch: { observed: 'ready', ownerStale: current.ownerStale && current.version !== record.version } }
      : undefined,
  );
  faultPoint('create.disk-recorded');
  return true;
}

/** Brings the owner blob beside the disk up to date. `false` when it is. */
export async function updateOwner(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  if (!record.ownerStale) return false;
  await core.backend.setDiskOwner(record.diskId, ownerOf(record), signal);
  await amend(core, record.id, (current) =>
    current.version === record.version ? { patch: { ownerStale: false } } : undefined,
  );
  return true;
}
