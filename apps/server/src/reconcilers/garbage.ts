import { removeOwnerless } from '../actions/garbage/collect.ts';
import type { Core } from '../core.ts';

const minAgeMs = 60_000;

/**
 * Removes what deleted sandboxes left. What the store never heard of is only told of: after the loss of a database, it is rebuilt from disks and
 * snapshots.
 */
export async function removeGarbage(core: Core): Promise<void> {
  if (!core.boots.connected) return;
  const removed = await removeOwnerless(core, (why, ageMs) => why !== 'unknown' && ageMs >= minAgeMs);
  for (const item of removed)
    core.log.warn({ kind: item.kind, item: item.name, reason: item.reason }, 'Garbage was removed');
}
