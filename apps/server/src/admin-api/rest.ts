import type { RestAnswer } from '@skerry/protocol';
import { type SandboxRecord, statusOf } from '@skerry/store';
import { wantDeleted } from '../actions/sandbox/delete.ts';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';

/**
 * Brings everything to rest: persistent sandboxes are paused, or stopped where memory cannot be saved, and keep the intent to run; ephemeral ones
 * are deleted. From then on nothing is started. Repeating it is fine.
 */
export async function restAll(core: Core, deadlineMs: number): Promise<RestAnswer> {
  core.rest.resting = true;
  const ended = AbortSignal.any([AbortSignal.timeout(Math.min(deadlineMs, 2 ** 31 - 1)), core.ended]);
  const rested: string[] = [];
  const paused: string[] = [];
  const deleted: string[] = [];
  const failed: { name: string; message: string }[] = [];
  await Promise.all(
    (await core.store.sandboxes.listAllLive()).map(async (record) => {
      try {
        if (record.kind === 'ephemeral')
          await amend(core, record.id, (current) => wantDeleted(current, 'instance_down'));
        const ran = record.bootId !== null;
        void core.drives.wake(record.id, ran);
        const last = await atRest(core, record, ended);
        if (!isAtRest(last)) failed.push({ name: record.name, message: `It is still ${statusOf(last).status}` });
        else if (last.observed === 'gone') deleted.push(record.name);
        else if (ran) (last.pointId === null ? rested : paused).push(record.name);
      } catch (error) {
        core.log.error({ sandbox: record.id, err: error }, 'A sandbox did not come to rest');
        failed.push({ name: record.name, message: error instanceof Error ? error.message : 'It failed' });
      }
    }),
  );
  return { rested, paused, deleted, failed };
}

/** Nothing of it runs, and nothing that was to be deleted is there. */
function isAtRest(record: SandboxRecord): boolean {
  return record.desired === 'deleted'
    ? record.observed === 'gone'
    : record.observed === 'ready' || record.observed === 'absent';
}

async function atRest(core: Core, start: SandboxRecord, ended: AbortSignal): Promise<SandboxRecord> {
  let record = start;
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (changed: SandboxRecord): void => {
    if (changed.version >= record.version) record = changed;
    if (isAtRest(record)) resolve();
  };
  const unsubscribe = core.changes.subscribe(start.id, look);
  const onEnd = (): void => resolve();
  ended.addEventListener('abort', onEnd);
  if (ended.aborted) resolve();
  try {
    look((await core.store.sandboxes.find(start.id)) ?? record);
    await promise;
    return record;
  } finally {
    ended.removeEventListener('abort', onEnd);
    unsubscribe();
  }
}
