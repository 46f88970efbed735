import { Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { type Amendment, amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { savesMemory } from '../../drives/target.ts';
import { faultPoint } from '../../fault-points.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { findSandbox } from './find.ts';
import { refuseDeleted } from './refuse-deleted.ts';

const graceMs = 5000;

/** Wants a sandbox to be paused. One that is being made runs first; a paused one stays. */
export async function pauseSandbox(
  core: Core,
  caller: Caller,
  idOrName: string,
  memory: boolean,
  repeatable: Repeatable | undefined,
): Promise<SandboxRecord> {
  const again = (target: string): Promise<SandboxRecord> => findSandbox(core, caller, target);
  return idempotent(core, caller, repeatable, again, async (remember) => {
    const found = await findSandbox(core, caller, idOrName);
    const saves = !memory || (await savesMemory(core, found));
    let changed = false;
    const record = await amend(core, found.id, async (current, nouns) => {
      refuseDeleted(current);
      if (!saves && current.desired !== 'paused')
        throw new Problem('unsupported', `The engine of sandbox "${current.name}" cannot save memory`, {
          reason: 'memory_unsupported',
          hint: 'Pause it without its memory, or stop it.',
        });
      await remember(nouns, found.id);
      const amendment = wantPaused(current, 'requested', memory);
      changed = amendment !== undefined;
      return amendment;
    });
    faultPoint('pause.wanted');
    void core.drives.wake(found.id, changed);
    return record;
  });
}

/** The change that makes a sandbox pause; `undefined` when it is wanted already. Throws when there is nothing to pause. */
export function wantPaused(current: SandboxRecord, reason: string, memory: boolean): Amendment | undefined {
  if (current.desired === 'paused') return undefined;
  if (current.desired !== 'running' || current.failure !== null)
    throw new Problem(
      'precondition_failed',
      `Sandbox "${current.name}" ${current.failure === null ? 'is not running' : 'has failed'}: there is nothing to pause`,
      { reason: 'sandbox_not_running', hint: `Start it: skerry start ${current.name}` },
    );
  refuseWhileRollingBack(current);
  if (current.kind === 'ephemeral' && !memory)
    throw new Problem('precondition_failed', `Sandbox "${current.name}" is ephemeral: without its memory it ends`, {
      reason: 'ephemeral_ends',
      hint: 'Pause it with its memory, or delete it.',
    });
  return {
    patch: {
      desired: 'paused',
      desiredReason: reason,
      pauseMemory: memory,
      graceMs,
      ...(reason === 'timeout' ? { timeoutAtMs: null } : {}),
    },
    event: {
      type: 'sandbox.pausing',
      reason,
      message: `Sandbox "${current.name}" is being paused ${memory ? 'with its memory' : 'without its memory'}`,
    },
  };
}

/** Throws `conflict` while the disk of a sandbox is being replaced. */
export function refuseWhileRollingBack(current: SandboxRecord): void {
  if (current.rollbackTo !== null)
    throw new Problem('conflict', `Sandbox "${current.name}" is being rolled back`, {
      reason: 'rollback_in_progress',
      hint: 'Try again when that is done.',
    });
}
