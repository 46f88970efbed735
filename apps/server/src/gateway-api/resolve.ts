import { isId, Problem } from '@skerry/model';
import type { ResolveAnswer, ResolveRequest } from '@skerry/protocol';
import { type SandboxRecord, statusOf } from '@skerry/store';
import { findSandbox } from '../actions/sandbox/find.ts';
import { failureProblem, waitFor } from '../actions/sandbox/wait.ts';
import type { Core } from '../core.ts';
import { routeOf } from './routes.ts';
import { wakeIfAllowed } from './wake.ts';

const mostWaitMs = 120_000;

/**
 * The route of a sandbox, to which something may be sent from now on: wakes one that rests, when its rule allows that, and waits while it is on
 * its way up. Throws `sandbox_paused` or `sandbox_not_running` when it is not going to run.
 */
export async function resolve(core: Core, request: ResolveRequest, signal: AbortSignal): Promise<ResolveAnswer> {
  const { id } = await find(core, request);
  const waitMs = Math.min(Math.max(0, request.waitMs), mostWaitMs);
  const deadlineMs = Date.now() + waitMs;
  const ended = AbortSignal.any([signal, core.ended, AbortSignal.timeout(waitMs)]);
  for (;;) {
    core.activities.touch(id, Date.now());
    let record = await wakeIfAllowed(core, id, request.by, ended);
    if (record.desired === 'running' && record.observed !== 'running' && !core.rest.resting)
      record = await whenItRuns(core, record, deadlineMs, signal);
    const route = await routeOf(core, record);
    // It may have been put to rest while it was waited for.
    if (route?.resting === true && Date.now() < deadlineMs && !signal.aborted && record.desired === 'running') continue;
    if (route !== undefined && !route.resting) return { route };
    throw notRunning(record);
  }
}

async function whenItRuns(
  core: Core,
  record: SandboxRecord,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<SandboxRecord> {
  if (record.failure !== null) throw failureProblem(record, record.failure);
  void core.drives.wake(record.id);
  const waitMs = Math.max(0, deadlineMs - Date.now());
  const waited = await waitFor(core, record, 'running', waitMs, signal);
  if (!waited.reached && waitMs > 0)
    throw new Problem(
      'deadline',
      `Sandbox "${record.name}" is ${statusOf(waited.record).status}: it did not run in time`,
      {
        reason: 'sandbox_not_ready',
        hint: 'Try again.',
      },
    );
  return waited.record;
}

function notRunning(record: SandboxRecord): Problem {
  const { status, reason } = statusOf(record);
  return new Problem('conflict', `Sandbox "${record.name}" is ${status} (${reason}), not running`, {
    reason: 'sandbox_not_running',
    hint:
      status === 'deleted' || status === 'deleting' ? 'It is gone for good.' : `Start it: skerry start ${record.name}`,
  });
}

async function find(core: Core, request: ResolveRequest): Promise<SandboxRecord> {
  if (request.projectId !== undefined) return findSandbox(core, { projectId: request.projectId }, request.sandbox);
  const record = isId('sandbox', request.sandbox) ? await core.store.sandboxes.find(request.sandbox) : undefined;
  if (record === undefined) throw new Problem('not_found', 'There is no such sandbox', { reason: 'sandbox_not_found' });
  return record;
}
