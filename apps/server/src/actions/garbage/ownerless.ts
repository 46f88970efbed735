import { type BootReport, type DiskReport, type GarbageItem, isId, type SandboxId } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import type { Core } from '../../core.ts';

/** What the backend keeps and the store does not explain. */
export interface Ownerless {
  readonly disks: readonly OwnerlessDisk[];
  readonly boots: readonly OwnerlessBoot[];
}
interface OwnerlessDisk {
  readonly disk: DiskReport;
  /** `gone`: its sandbox was deleted · `unknown`: the store never heard of it, as after a loss of the database. */
  readonly owner: 'gone' | 'unknown';
}
interface OwnerlessBoot {
  readonly boot: BootReport;
  readonly owner: 'gone' | 'unknown' | 'other_boot';
}

/** Finds disks and boots without an owner. */
export async function findOwnerless(core: Core): Promise<Ownerless> {
  // The backend is asked first: what it lists was recorded in the store before it was made.
  const [disks, boots] = [await core.backend.listDisks(), await core.backend.listBoots()];
  const known = new Map<SandboxId, SandboxRecord | undefined>();
  const ownerOf = async (id: SandboxId): Promise<SandboxRecord | undefined> => {
    if (!known.has(id)) known.set(id, isId('sandbox', id) ? await core.store.sandboxes.find(id) : undefined);
    return known.get(id);
  };
  const lonelyDisks: OwnerlessDisk[] = [];
  for (const disk of disks) {
    const owner = await ownerOf(disk.sandboxId);
    if (owner === undefined) lonelyDisks.push({ disk, owner: 'unknown' });
    else if (owner.observed === 'gone' || owner.diskId !== disk.diskId) lonelyDisks.push({ disk, owner: 'gone' });
  }
  const lonelyBoots: OwnerlessBoot[] = [];
  for (const boot of boots) {
    const owner = await ownerOf(boot.sandboxId);
    if (owner === undefined) lonelyBoots.push({ boot, owner: 'unknown' });
    else if (owner.observed === 'gone') lonelyBoots.push({ boot, owner: 'gone' });
    else if (owner.bootId !== boot.bootId) lonelyBoots.push({ boot, owner: 'other_boot' });
  }
  return { disks: lonelyDisks, boots: lonelyBoots };
}

/** Removes what has no owner. With `unknown`, also what the store never heard of. Gives back what was removed. */
export async function removeOwnerless(core: Core, minAgeMs: number, unknown: boolean): Promise<GarbageItem[]> {
  const found = await findOwnerless(core);
  const removed: GarbageItem[] = [];
  for (const lonely of found.boots) {
    const item = bootItem(lonely);
    if (item.ageMs < minAgeMs || (lonely.owner === 'unknown' && !unknown)) continue;
    await core.backend.deleteBoot(lonely.boot.bootId);
    removed.push(item);
  }
  for (const lonely of found.disks) {
    const item = diskItem(lonely);
    if (item.ageMs < minAgeMs || (lonely.owner === 'unknown' && !unknown)) continue;
    await core.backend.deleteDisk(lonely.disk.diskId);
    removed.push(item);
  }
  return removed;
}

const reasons = {
  gone: 'Its sandbox was deleted',
  unknown: 'Its sandbox is not in the database',
  other_boot: 'Its sandbox has another boot or none',
} as const;

export function diskItem({ disk, owner }: OwnerlessDisk): GarbageItem {
  const { diskId, usedBytes, createdAtMs } = disk;
  return {
    kind: 'disk',
    name: diskId,
    reason: reasons[owner],
    ageMs: Math.max(0, Date.now() - createdAtMs),
    bytes: usedBytes,
    diskId,
  };
}

export function bootItem({ boot, owner }: OwnerlessBoot): GarbageItem {
  const { bootId, startedAtMs } = boot;
  return { kind: 'boot', name: bootId, reason: reasons[owner], ageMs: Math.max(0, Date.now() - startedAtMs), bootId };
}
