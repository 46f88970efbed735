import type { SnapshotReport } from '@skerry/model';
import type { SnapshotRecord } from '@skerry/store';
import type { Core } from '../../core.ts';

/** What the backend says of a complete snapshot now: its sizes change with what shares its blocks. `undefined` when it does not answer. */
export async function seeSnapshot(core: Core, record: SnapshotRecord): Promise<SnapshotReport | undefined> {
  if (record.status !== 'ready') return undefined;
  try {
    return await core.backend.getSnapshot(record.id);
  } catch (error) {
    // The record has what it was when it was made.
    core.log.debug({ snapshot: record.id, err: error }, 'The backend says nothing of a snapshot');
    return undefined;
  }
}
