import type { SandboxRecord } from '@skerry/store';
import { type Amendment, amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { faultPoint } from '../../fault-points.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { wantDeleted } from './delete.ts';
import { findSandbox } from './find.ts';
import { refuseWhileRollingBack } from './pause.ts';
import { refuseDeleted } from './refuse-deleted.ts';

/** Wants a sandbox to be stopped. A stopped one stays; an ephemeral one is deleted, for its end is its end. */
export async function stopSandbox(
  core: Core,
  caller: Caller,
  idOrName: string,
  graceMs: number,
  repeatable: Repeatable | undefined,
): Promise<SandboxRecord> {
  const again = (target: string): Promise<SandboxRecord> => findSandbox(core, caller, target);
  return idempotent(core, caller, repeatable, again, async (remember) => {
    const { id } = await findSandbox(core, caller, idOrName);
    let changed = false;
    const record = await amend(core, id, async (current, nouns) => {
      refuseDeleted(current);
      await remember(nouns, id);
      const amendment = wantStopped(current, 'requested', graceMs);
      changed = amendment !== undefined;
      return amendment;
    });
    faultPoint('stop.wanted');
    void core.drives.wake(id, changed);
    return record;
  });
}

/** The change that makes a sandbox stop; `undefined` when it is wanted already. */
export function wantStopped(current: SandboxRecord, reason: string, graceMs: number): Amendment | undefined {
  if (current.kind === 'ephemeral') return wantDeleted(current, reason === 'requested' ? 'stopped' : reason);
  if (current.desired === 'stopped' && current.failure === null) return undefined;
  refuseWhileRollingBack(current);
  const wasPaused = current.desired === 'paused' && current.observed === 'ready';
  return {
    patch: {
      desired: 'stopped',
      desiredReason: reason,
      graceMs,
      failure: null,
      ...(reason === 'timeout' ? { timeoutAtMs: null } : {}),
    },
    event: wasPaused
      ? {
          type: 'sandbox.stopped',
          reason,
          message: `Paused sandbox "${current.name}" was stopped: its memory is dropped`,
        }
      : { type: 'sandbox.stopping', reason, message: `Sandbox "${current.name}" is stopping` },
  };
}
