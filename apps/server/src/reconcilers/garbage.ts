import { removeOwnerless } from '../actions/garbage/ownerless.ts';
import type { Core } from '../core.ts';

const minAgeMs = 60_000;

/**
 * Removes boots and disks whose sandbox was deleted. What the store never heard of is only reported: after the loss of a database, disks are what
 * it is rebuilt from.
 */
export async function removeGarbage(core: Core): Promise<void> {
  if (!core.boots.connected) return;
  const removed = await removeOwnerless(core, minAgeMs, false);
  for (const item of removed)
    core.log.warn({ kind: item.kind, item: item.name, reason: item.reason }, 'Garbage was removed');
}
