import { isId, Problem } from '@skerry/model';
import type { Key } from '@skerry/protocol';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { showKey } from './show.ts';

/** Revokes a key of the caller's project, at once and everywhere. */
export async function revokeKey(core: Core, caller: Caller, id: string): Promise<Key> {
  if (!isId('key', id)) throw new Problem('not_found', 'There is no key of that id', { reason: 'key_not_found' });
  const record = await core.store.keys.revoke(caller.projectId, id, Date.now());
  core.keys.revoked(record.hash);
  return showKey(record);
}
