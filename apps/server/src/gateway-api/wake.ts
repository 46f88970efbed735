import { Problem, type SandboxId } from '@skerry/model';
import type { ResolveRequest } from '@skerry/protocol';
import { type SandboxRecord, statusOf } from '@skerry/store';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { thaw } from '../drives/freeze.ts';

/**
 * Makes a sandbox that rests go on: what rests in RAM always, what is paused or was stopped by its own rest rule when its `wakeOn` allows this kind
 * of call. Throws `conflict` when it does not. One that was stopped otherwise stays as it is. A pause that somebody asked for comes to its end
 * first, and its caller gets that.
 */
export async function wakeIfAllowed(
  core: Core,
  id: SandboxId,
  by: ResolveRequest['by'],
  signal: AbortSignal,
): Promise<SandboxRecord> {
  let record = await find(core, id);
  if (!isAskedPause(record)) record = await awakeInRam(core, record, by);
  if (!rests(record) || core.rest.resting) return record;
  mayWake(record, by);
  if (isAskedPause(record)) {
    const isOver = (current: SandboxRecord): boolean => !isAskedPause(current) || current.observed === 'ready';
    await until(core, record, isOver, signal);
    if (!isOver(await find(core, id))) throw notInTime(record);
  }
  let woken = false;
  record = await amend(core, id, (current) => {
    woken = false;
    if (!rests(current)) return undefined;
    mayWake(current, by);
    woken = true;
    return { patch: { desired: 'running', desiredReason: 'woken', failure: null, lastUsedAtMs: Date.now() } };
  });
  if (woken) void core.drives.wake(id);
  return record;
}

/** Voids what is under way to put it to rest, waits for what cannot be voided any more, and thaws it. */
async function awakeInRam(core: Core, record: SandboxRecord, by: string): Promise<SandboxRecord> {
  if (record.bootId !== null) core.drains.cancel(record.bootId);
  if (record.frozen || core.freezing.busy(record.id)) return thaw(core, record.id, by);
  return record;
}

/** Throws when the rule of a sandbox does not let this kind of call wake it. */
function mayWake(record: SandboxRecord, by: ResolveRequest['by']): void {
  const { wakeOn } = record.rest;
  if (wakeOn === 'never' || (wakeOn === 'api' && by !== 'api')) throw asleep(record);
}

/** A pause that somebody waits for, or that a timeout asked for. */
function isAskedPause(record: SandboxRecord): boolean {
  return record.desired === 'paused' && record.desiredReason !== 'rest';
}

/** Waits until a sandbox is as is wanted, or the signal is aborted. */
async function until(
  core: Core,
  record: SandboxRecord,
  isReached: (record: SandboxRecord) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = (): void => resolve();
  const look = (current: SandboxRecord): void => {
    if (isReached(current)) resolve();
  };
  const unsubscribe = core.changes.subscribe(record.id, look);
  signal.addEventListener('abort', end);
  try {
    if (signal.aborted) return;
    // What was written between the caller's read and the subscription.
    look(await find(core, record.id));
    await promise;
  } finally {
    signal.removeEventListener('abort', end);
    unsubscribe();
  }
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

function notInTime(record: SandboxRecord): Problem {
  return new Problem('deadline', `Sandbox "${record.name}" is being paused, and was not done in time`, {
    reason: 'sandbox_not_ready',
    hint: 'Try again.',
  });
}

async function find(core: Core, id: SandboxId): Promise<SandboxRecord> {
  const record = await core.store.sandboxes.find(id);
  if (record === undefined) throw new Problem('not_found', 'There is no such sandbox', { reason: 'sandbox_not_found' });
  return record;
}
