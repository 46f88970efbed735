/** Brings saved memory back, after everything has been looked at that can be before the guest runs. */
import type { EngineBootSpec } from '@skerry/engine';
import { Problem } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import type { SnapshotMemory } from '../snapshots/snapshot-record.ts';
import type { BootContext } from './boot-parts.ts';

/** Throws why the memory cannot be used; the files of the disk are as they were then. */
export async function bringMemoryBack(
  context: BootContext,
  engineSpec: EngineBootSpec,
  signal: AbortSignal,
): Promise<void> {
  const { parts, file } = context;
  const { engine, disks, snapshots } = parts;
  const { spec } = file.record;
  const { restoreFrom, diskId } = spec;
  if (restoreFrom === undefined) throw new Problem('internal', 'There is no memory to bring back');
  const memory = await usableMemory(context);
  await snapshots.checkMemory(restoreFrom);
  faultPoint('boots.restore.checked');
  await disks.beginRestore(diskId, restoreFrom);
  faultPoint('boots.restore.begun');
  await engine.restore(engineSpec, snapshots.memoryDirectoryOf(restoreFrom), memory.format, signal);
}

async function usableMemory({ parts, file }: BootContext): Promise<SnapshotMemory> {
  const { spec } = file.record;
  const { snapshots } = parts;
  const record = spec.restoreFrom === undefined ? undefined : snapshots.get(spec.restoreFrom);
  if (record?.memory === undefined)
    throw new Problem('precondition_failed', 'The snapshot holds files only', { reason: 'snapshot_without_memory' });
  if (spec.memoryMiB < record.memory.memoryMiB)
    throw new Problem(
      'precondition_failed',
      `Its memory was saved with ${record.memory.memoryMiB} MiB, and the sandbox has ${spec.memoryMiB} MiB now`,
      { reason: 'memory_too_small' },
    );
  const why = await snapshots.whyMemoryUnusable(record);
  if (why !== undefined) throw new Problem('unsupported', why, { reason: 'memory_image_unsupported' });
  return record.memory;
}
