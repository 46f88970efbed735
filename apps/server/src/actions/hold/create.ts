import { isId, newId, Problem } from '@skerry/model';
import type { CreateHoldBody } from '@skerry/protocol';
import type { HoldRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { thaw } from '../../drives/freeze.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { findSandbox } from '../sandbox/find.ts';
import { refuseDeleted } from '../sandbox/refuse-deleted.ts';

const defaultForMs = 2 * 3_600_000;
/** Holds of one sandbox at once. */
const mostHolds = 100;

/** Keeps a sandbox awake for a time. One that rests in RAM goes on; a paused or stopped one stays so, and is not deleted meanwhile. */
export async function createHold(
  core: Core,
  caller: Caller,
  idOrName: string,
  body: CreateHoldBody,
  repeatable: Repeatable | undefined,
): Promise<HoldRecord> {
  const again = async (target: string): Promise<HoldRecord> => {
    const found = isId('hold', target) ? await core.store.holds.find(target) : undefined;
    if (found !== undefined) return found;
    throw new Problem('not_found', 'The hold that this call made has ended', { reason: 'hold_not_found' });
  };
  return idempotent(core, caller, repeatable, again, async (remember) => {
    const { id: sandboxId } = await findSandbox(core, caller, idOrName);
    const nowMs = Date.now();
    const hold: HoldRecord = {
      id: newId('hold'),
      sandboxId,
      reason: body.reason ?? 'asked for',
      createdAtMs: nowMs,
      expiresAtMs: nowMs + (body.forMs ?? defaultForMs),
    };
    await core.store.transaction(async (nouns) => {
      const record = await nouns.sandboxes.find(sandboxId);
      if (record !== undefined) refuseDeleted(record);
      if ((await nouns.holds.listOf(sandboxId, nowMs)).length >= mostHolds)
        throw new Problem('exhausted', `Sandbox "${record?.name ?? idOrName}" has ${mostHolds} holds already`, {
          reason: 'too_many_holds',
          exhaustion: 'rate',
          hint: 'Release some with "skerry release", or let them end.',
        });
      await nouns.holds.insert(hold);
      await remember(nouns, hold.id);
    });
    core.activities.addHold(hold);
    await thaw(core, sandboxId, 'hold');
    return hold;
  });
}
