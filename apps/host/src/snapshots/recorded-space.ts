import type { SnapshotId } from '@skerry/model';
import type { SnapshotRecord } from './snapshot-record.ts';
import type { SnapshotSpace } from './snapshots.ts';

/** Space of snapshots as their records tell it: the files as shared with others, the memory as its own. */
export async function recordedSpace(
  records: readonly SnapshotRecord[],
): Promise<ReadonlyMap<SnapshotId, SnapshotSpace>> {
  return new Map(
    records.map(({ snapshotId, inheritedBytes, memory }) => [
      snapshotId,
      {
        diskBytes: inheritedBytes,
        exclusiveBytes: memory?.files.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0,
      },
    ]),
  );
}
