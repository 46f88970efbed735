import type { GarbageItem } from '@skerry/model';
import type { Core } from '../../core.ts';
import { findOwnerless, type Ownerless } from './ownerless.ts';

/** What the store does not know is kept for at least so long, in `ms`, unless it is asked for by name: a database may be found again. */
const unknownMinAgeMs = 7 * 24 * 3_600_000;

export interface CollectGarbage {
  readonly minAgeMs: number;
  /** Also what the store never heard of, at the same age. */
  readonly unknown: boolean;
}

/** Removes garbage of at least an age, what the host knows of included. Gives back what was removed. */
export async function collectGarbage(core: Core, { minAgeMs, unknown }: CollectGarbage): Promise<GarbageItem[]> {
  const removed = await removeOwnerless(core, (why, ageMs) => {
    const leastMs = why === 'unknown' && !unknown ? Math.max(minAgeMs, unknownMinAgeMs) : minAgeMs;
    return ageMs >= leastMs;
  });
  const names = new Set(removed.map((item) => item.name));
  return [...removed, ...(await core.backend.collectGarbage(minAgeMs)).filter((item) => !names.has(item.name))];
}

/** Removes what has no owner and passes; each failure is left for the next time. */
export async function removeOwnerless(
  core: Core,
  passes: (why: Ownerless, ageMs: number) => boolean,
): Promise<GarbageItem[]> {
  const removed: GarbageItem[] = [];
  for (const { item, why, remove } of await findOwnerless(core)) {
    if (!passes(why, item.ageMs)) continue;
    try {
      await remove();
      removed.push(item);
    } catch (error) {
      core.log.warn({ kind: item.kind, item: item.name, err: error }, 'Garbage could not be removed now');
    }
  }
  return removed;
}
