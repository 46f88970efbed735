import type { Core } from '../core.ts';

const mostAtOnce = 4;

/**
 * Wakes the drives of all sandboxes that are not as they should be, most recently used first, a few at a time: after a start of the server, and
 * whenever the backend comes back. A sandbox that somebody asks for meanwhile is driven at once.
 */
export async function settleAll(core: Core): Promise<void> {
  const ids = [...(await core.store.sandboxes.listUnsettled())];
  const worker = async (): Promise<void> => {
    for (let id = ids.shift(); id !== undefined && !core.ended.aborted; id = ids.shift()) await core.drives.wake(id);
  };
  await Promise.all(Array.from({ length: mostAtOnce }, worker));
}
