import { isId, newId, Problem } from '@skerry/model';
import type { CreateKeyBody, Key } from '@skerry/protocol';
import type { KeyRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { hashKey } from '../../secrets.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { showKey } from './show.ts';

const hintLength = 12;

/** Makes a key of the caller's project; the answer holds the key itself. */
export async function createKey(
  core: Core,
  caller: Caller,
  body: CreateKeyBody,
  repeatable: Repeatable | undefined,
): Promise<Key> {
  const format = body.format ?? 'skerry';
  const shown = (record: KeyRecord): Key => ({ ...showKey(record), key: core.secrets.apiKey(record.id, format) });
  const again = async (target: string): Promise<Key> => {
    if (!isId('key', target)) throw new Problem('internal', 'The idempotency record names no key');
    return shown(await core.store.keys.get(caller.projectId, target));
  };
  return idempotent(core, caller, repeatable, again, async (remember) => {
    const id = newId('key');
    const key = core.secrets.apiKey(id, format);
    const createdAtMs = Date.now();
    const record: KeyRecord = {
      id,
      projectId: caller.projectId,
      name: body.name,
      role: body.role ?? 'member',
      hash: hashKey(key),
      hint: key.slice(0, hintLength),
      createdAtMs,
      expiresAtMs: body.expiresInMs === undefined ? null : createdAtMs + body.expiresInMs,
      revokedAtMs: null,
    };
    await core.store.transaction(async (nouns) => {
      await nouns.keys.insert(record);
      await remember(nouns, id);
    });
    return shown(record);
  });
}
