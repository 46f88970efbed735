import type { SandboxRecord } from '@skerry/store';
import { wantDeleted } from '../actions/sandbox/delete.ts';
import { wantPaused } from '../actions/sandbox/pause.ts';
import { wantStopped } from '../actions/sandbox/stop.ts';
import { type Amendment, amend } from '../amend.ts';
import type { Core } from '../core.ts';

const graceMs = 5000;
const mostAtOnce = 100;

/** Does what is to happen to the sandboxes whose timeout is over. Deadlines are in the store: they hold over restarts. */
export async function expireTimeouts(core: Core): Promise<void> {
  const nowMs = Date.now();
  for (const { id } of await core.store.sandboxes.listTimedOut(nowMs, mostAtOnce)) {
    await amend(core, id, async (current, nouns) => {
      // A disk that is being replaced comes first: what is half way is neither the old sandbox nor the new one.
      if (current.timeoutAtMs === null || current.timeoutAtMs > nowMs || current.rollbackTo !== null) return undefined;
      await nouns.events.append({
        projectId: current.projectId,
        sandboxId: id,
        type: 'sandbox.timeout',
        atMs: nowMs,
        reason: current.onTimeout,
        message: `The time of sandbox "${current.name}" is over`,
      });
      return amendmentOf(current) ?? { patch: { timeoutAtMs: null } };
    });
    void core.drives.wake(id, true);
  }
}

/** What is to happen now; `undefined` when it is so already. */
function amendmentOf(current: SandboxRecord): Amendment | undefined {
  if (current.onTimeout === 'delete') return wantDeleted(current, 'timeout');
  if (current.onTimeout === 'stop') return wantStopped(current, 'timeout', graceMs);
  const runs = current.desired === 'running' && current.failure === null;
  return runs ? wantPaused(current, 'timeout', true) : undefined;
}
