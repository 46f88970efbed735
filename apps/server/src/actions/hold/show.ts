import type { Hold } from '@skerry/protocol';
import type { HoldRecord } from '@skerry/store';

/** A hold as the API shows it. */
export function showHold({ id, reason, createdAtMs, expiresAtMs }: HoldRecord): Hold {
  return {
    id,
    reason,
    createdAt: new Date(createdAtMs).toISOString(),
    expiresAt: new Date(expiresAtMs).toISOString(),
  };
}
