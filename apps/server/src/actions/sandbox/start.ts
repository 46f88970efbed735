import type { SandboxRecord } from '@skerry/store';
import { amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { refuseWhileResting } from './admission.ts';
import { findSandbox } from './find.ts';
import { refuseDeleted } from './refuse-deleted.ts';

/** Wants a sandbox to run. One that runs stays, a paused one goes on from its memory, and one that failed is tried again. */
export async function startSandbox(
  core: Core,
  caller: Caller,
  idOrName: string,
  repeatable: Repeatable | undefined,
): Promise<SandboxRecord> {
  const again = (target: string): Promise<SandboxRecord> => findSandbox(core, caller, target);
  return idempotent(core, caller, repeatable, again, async (remember) => {
    refuseWhileResting(core);
    const { id } = await findSandbox(core, caller, idOrName);
    let changed = false;
    const record = await amend(core, id, async (current, nouns) => {
      refuseDeleted(current);
      await remember(nouns, id);
      changed = current.desired !== 'running' || current.failure !== null;
      if (!changed) return undefined;
      return { patch: { desired: 'running', desiredReason: 'requested', failure: null, lastUsedAtMs: Date.now() } };
    });
    void core.drives.wake(id, changed);
    return record;
  });
}
