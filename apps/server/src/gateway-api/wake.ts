import { Problem, type SandboxId } from '@skerry/model';
import type { ResolveRequest } from '@skerry/protocol';
import { type SandboxRecord, statusOf } from '@skerry/store';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { thaw } from '../drives/freeze.ts';

/**
 * Makes a sandbox that rests go on: what rests in RAM always, what is paused or was stopped by its own rest rule when its `wakeOn` allows this kind
 * of call. Throws `conflict` when it does not. One that was stopped otherwise stays as it is.
 */
export async function wakeIfAllowed(core: Core, id: SandboxId, by: ResolveRequest['by']): Promise<SandboxRecord> {
  let record = await awakeInRam(core, id, by);
  if (!rests(record) || core.rest.resting) return record;
  let woken = false;
  record = await amend(core, id, (current) => {
    woken = false;
    if (!rests(current)) return undefined;
    const { wakeOn } = current.rest;
    if (wakeOn === 'never' || (wakeOn === 'api' && by !== 'api')) throw asleep(current);
    woken = true;
    return { patch: { desired: 'running', desiredReason: 'woken', failure: null, lastUsedAtMs: Date.now() } };
  });
  if (woken) void core.drives.wake(id);
  return record;
}

/** Voids what is under way to put it to rest, waits for what cannot be voided any more, and thaws it. */
async function awakeInRam(core: Core, id: SandboxId, by: string): Promise<SandboxRecord> {
  const record = await find(core, id);
  if (record.bootId !== null) core.drains.cancel(record.bootId);
  if (record.frozen || core.freezing.busy(id)) return thaw(core, id, by);
  return record;
}

function rests(record: SandboxRecord): boolean {
  return record.desired === 'paused' || (record.desired === 'stopped' && record.desiredReason === 'rest');
}

function asleep(record: SandboxRecord): Problem {
  const { status } = statusOf(record);
  const verb = record.desired === 'paused' ? 'resume' : 'start';
  const who =
    record.rest.wakeOn === 'api' ? 'requests to its ports do not wake it' : 'nothing wakes it but a call to do so';
  return new Problem('conflict', `Sandbox "${record.name}" is ${status}, and ${who} (wakeOn "${record.rest.wakeOn}")`, {
    reason: record.desired === 'paused' ? 'sandbox_paused' : 'sandbox_not_running',
    hint: `Wake it: skerry ${verb} ${record.name}, or POST /v1/sandboxes/${record.id}/${verb}.`,
  });
}

async function find(core: Core, id: SandboxId): Promise<SandboxRecord> {
  const record = await core.store.sandboxes.find(id);
  if (record === undefined) throw new Problem('not_found', 'There is no such sandbox', { reason: 'sandbox_not_found' });
  return record;
}
