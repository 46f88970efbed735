import type { GarbageItem } from '@skerry/model';
import type { Core } from '../../core.ts';
import { findOwnerless } from './ownerless.ts';

/** Everything that nobody owns: as the store sees it, and as the host does. */
export async function listGarbage(core: Core): Promise<GarbageItem[]> {
  const items = (await findOwnerless(core)).map(({ item }) => item);
  const names = new Set(items.map((item) => item.name));
  return [...items, ...(await core.backend.listGarbage()).filter((item) => !names.has(item.name))];
}
