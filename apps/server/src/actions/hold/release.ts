import { isId, Problem } from '@skerry/model';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { findSandbox } from '../sandbox/find.ts';

/** Ends one hold of a sandbox, or all. That none is there is fine. */
export async function releaseHolds(
  core: Core,
  caller: Caller,
  idOrName: string,
  hold: string | undefined,
): Promise<void> {
  const { id } = await findSandbox(core, caller, idOrName);
  if (hold !== undefined && !isId('hold', hold))
    throw new Problem('not_found', `"${hold.slice(0, 40)}" is no id of a hold`, {
      reason: 'hold_not_found',
      hint: 'The holds of a sandbox are listed with its activity.',
    });
  await core.store.holds.remove(id, hold);
  core.activities.dropHolds(id, hold, Date.now());
}
