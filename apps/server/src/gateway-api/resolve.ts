import { isId, Problem } from '@skerry/model';
import type { ResolveAnswer, ResolveRequest } from '@skerry/protocol';
import { type SandboxRecord, statusOf } from '@skerry/store';
import { findSandbox } from '../actions/sandbox/find.ts';
import { failureProblem, waitFor } from '../actions/sandbox/wait.ts';
import type { Core } from '../core.ts';
import { routeOf } from './routes.ts';

const mostWaitMs = 120_000;

/** The route of a sandbox; waits while it is on its way up. Throws `sandbox_not_running` when it is not. */
export async function resolve(core: Core, request: ResolveRequest, signal: AbortSignal): Promise<ResolveAnswer> {
  let record = await find(core, request);
  if (record.desired === 'running' && record.observed !== 'running' && !core.rest.resting) {
    if (record.failure !== null) throw failureProblem(record, record.failure);
    void core.drives.wake(record.id);
    const waitMs = Math.min(Math.max(0, request.waitMs), mostWaitMs);
    const waited = await waitFor(core, record, 'running', waitMs, signal);
    record = waited.record;
    if (!waited.reached && waitMs > 0)
      throw new Problem('deadline', `Sandbox "${record.name}" is ${statusOf(record).status}: it did not run in time`, {
        reason: 'sandbox_not_ready',
        hint: 'Try again.',
      });
  }
  const route = await routeOf(core, record);
  if (route !== undefined) return { route };
  const { status, reason } = statusOf(record);
  throw new Problem('conflict', `Sandbox "${record.name}" is ${status} (${reason}), not running`, {
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
