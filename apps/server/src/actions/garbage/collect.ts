import type { GarbageItem } from '@skerry/model';
import type { Core } from '../../core.ts';
import { removeOwnerless } from './ownerless.ts';

/** Removes garbage of at least this age, disks that the database does not know included. Gives back what was removed. */
export async function collectGarbage(core: Core, minAgeMs: number): Promise<GarbageItem[]> {
  const removed = await removeOwnerless(core, minAgeMs, true);
  const names = new Set(removed.map((item) => item.name));
  return [...removed, ...(await core.backend.collectGarbage(minAgeMs)).filter((item) => !names.has(item.name))];
}
