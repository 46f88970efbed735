import type { SandboxRecord } from '@skerry/store';
import { type Amendment, amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { faultPoint } from '../../fault-points.ts';
import { findSandbox } from './find.ts';

/** Wants a sandbox and its disk to be gone. Repeating it is fine. */
export async function deleteSandbox(core: Core, caller: Caller, idOrName: string): Promise<SandboxRecord> {
  const { id } = await findSandbox(core, caller, idOrName);
  let changed = false;
  const record = await amend(core, id, (current) => {
    const amendment = wantDeleted(current, 'requested');
    changed = amendment !== undefined;
    return amendment;
  });
  faultPoint('delete.wanted');
  void core.drives.wake(id, changed);
  return record;
}

/** The change that makes a sandbox go away; `undefined` when it is wanted already. */
export function wantDeleted(current: SandboxRecord, reason: string): Amendment | undefined {
  if (current.desired === 'deleted') return undefined;
  return {
    patch: { desired: 'deleted', desiredReason: reason, graceMs: 0, timeoutAtMs: null },
    event: { type: 'sandbox.deleting', reason, message: `Sandbox "${current.name}" is being deleted` },
  };
}
