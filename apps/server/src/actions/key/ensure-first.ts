import { newId } from '@skerry/model';
import type { Store } from '@skerry/store';

/** Makes sure that the instance's first key exists, with role `admin`. */
export async function ensureFirstKey(
  store: Store,
  key: { readonly hash: string; readonly hint: string },
): Promise<void> {
  if ((await store.keys.findByHash(key.hash)) !== undefined) return;
  await store.transaction(async (nouns) => {
    const nowMs = Date.now();
    const projectId = await nouns.projects.first(nowMs);
    await nouns.keys.insert({
      id: newId('key'),
      projectId,
      name: 'first',
      role: 'admin',
      hash: key.hash,
      hint: key.hint,
      createdAtMs: nowMs,
      expiresAtMs: null,
      revokedAtMs: null,
    });
  });
}
