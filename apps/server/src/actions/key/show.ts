import type { Key } from '@skerry/protocol';
import type { KeyRecord } from '@skerry/store';

/** A key as the API shows it: never the key itself. */
export function showKey(key: KeyRecord): Key {
  return {
    id: key.id,
    project: key.projectId,
    name: key.name,
    role: key.role,
    hint: key.hint,
    createdAt: new Date(key.createdAtMs).toISOString(),
    ...(key.expiresAtMs === null ? {} : { expiresAt: new Date(key.expiresAtMs).toISOString() }),
    ...(key.revokedAtMs === null ? {} : { revokedAt: new Date(key.revokedAtMs).toISOString() }),
  };
}
