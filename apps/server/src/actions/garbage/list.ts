import type { GarbageItem } from '@skerry/model';
import type { Core } from '../../core.ts';
import { bootItem, diskItem, findOwnerless } from './ownerless.ts';

/** Everything that nobody owns: as the host sees it, and as the store does. */
export async function listGarbage(core: Core): Promise<GarbageItem[]> {
  const { disks, boots } = await findOwnerless(core);
  const items = [...boots.map(bootItem), ...disks.map(diskItem)];
  const names = new Set(items.map((item) => item.name));
  return [...items, ...(await core.backend.listGarbage()).filter((item) => !names.has(item.name))];
}
