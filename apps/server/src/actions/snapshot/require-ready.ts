import { Problem } from '@skerry/model';
import type { SnapshotRecord } from '@skerry/store';

/** Throws unless a snapshot is complete. */
export function requireReady(record: SnapshotRecord | undefined, asked: string): asserts record is SnapshotRecord {
  if (record === undefined || record.status === 'deleting')
    throw new Problem('not_found', `There is no snapshot "${asked}" any more`, { reason: 'snapshot_not_found' });
  if (record.status === 'creating')
    throw new Problem('conflict', `Snapshot "${asked}" is still being made`, {
      reason: 'snapshot_not_ready',
      hint: 'Try again when it is ready.',
    });
}
