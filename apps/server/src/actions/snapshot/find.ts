import { isId, namePattern, Problem } from '@skerry/model';
import type { SnapshotRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';

/** A snapshot of the caller's project, by id or name. Somebody else's is answered as one that does not exist. */
export async function findSnapshot(
  core: Core,
  caller: Pick<Caller, 'projectId'>,
  idOrName: string,
): Promise<SnapshotRecord> {
  if (!isId('snapshot', idOrName) && !namePattern.test(idOrName))
    throw new Problem('not_found', 'There is no snapshot of that name: it is neither an id nor an allowed name', {
      reason: 'snapshot_not_found',
      hint: 'List them with "skerry snapshot ls" or GET /v1/snapshots.',
    });
  return core.store.snapshots.resolve(caller.projectId, idOrName);
}
