import type { DiskState } from '@skerry/backend';
import { isId, Problem } from '@skerry/model';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { findSandbox } from '../sandbox/find.ts';
import { findSnapshot } from '../snapshot/find.ts';
import { requireReady } from '../snapshot/require-ready.ts';
import { refuseDeleted } from '../sandbox/refuse-deleted.ts';

/** The files of a sandbox or a snapshot of the caller's project, by id or name; a name is looked for among sandboxes first. */
export async function findState(core: Core, caller: Caller, idOrName: string): Promise<DiskState> {
  if (!isId('snapshot', idOrName)) {
    const record = await findSandbox(core, caller, idOrName).catch((error: unknown) => {
      if (error instanceof Problem && error.code === 'not_found' && !isId('sandbox', idOrName)) return undefined;
      throw error;
    });
    if (record !== undefined) {
      refuseDeleted(record);
      if (record.observed === 'absent')
        throw new Problem('precondition_failed', `Sandbox "${record.name}" has no disk yet`, {
          reason: 'sandbox_not_ready',
          hint: 'Try again when it runs.',
        });
      return { diskId: record.diskId };
    }
  }
  try {
    const snapshot = await findSnapshot(core, caller, idOrName);
    requireReady(snapshot, idOrName);
    return { snapshotId: snapshot.id };
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'not_found') throw error;
    throw new Problem('not_found', `There is neither a sandbox nor a snapshot "${idOrName.slice(0, 80)}"`, {
      reason: isId('snapshot', idOrName) ? 'snapshot_not_found' : 'sandbox_not_found',
      hint: 'List them with "skerry ls" and "skerry snapshot ls".',
      cause: error,
    });
  }
}
