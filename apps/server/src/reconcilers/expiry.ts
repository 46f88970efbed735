import { wantDeleted } from '../actions/sandbox/delete.ts';
import { wantStopped } from '../actions/sandbox/stop.ts';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';

const graceMs = 5000;
const mostAtOnce = 100;

/** Does what is to happen to the sandboxes whose timeout is over. Deadlines are in the store: they hold over restarts. */
export async function expireTimeouts(core: Core): Promise<void> {
  const nowMs = Date.now();
  for (const { id } of await core.store.sandboxes.listTimedOut(nowMs, mostAtOnce)) {
    await amend(core, id, async (current, nouns) => {
      if (current.timeoutAtMs === null || current.timeoutAtMs > nowMs) return undefined;
      await nouns.events.append({
        projectId: current.projectId,
        sandboxId: id,
        type: 'sandbox.timeout',
        atMs: nowMs,
        reason: current.onTimeout,
        message: `The time of sandbox "${current.name}" is over`,
      });
      const amendment =
        current.onTimeout === 'delete' ? wantDeleted(current, 'timeout') : wantStopped(current, 'timeout', graceMs);
      return amendment ?? { patch: { timeoutAtMs: null } };
    });
    void core.drives.wake(id, true);
  }
}
