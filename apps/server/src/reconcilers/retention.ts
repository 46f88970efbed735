import type { Core } from '../core.ts';

const dayMs = 24 * 3_600_000;

/** Removes tombstones and idempotency keys that were kept long enough. */
export async function expireRows(core: Core): Promise<void> {
  const beforeMs = Date.now() - dayMs;
  await core.store.sandboxes.expireGone(beforeMs);
  await core.store.idempotency.expire(beforeMs);
}
