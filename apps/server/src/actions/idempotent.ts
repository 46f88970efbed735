import { Problem } from '@skerry/model';
import type { StoreNouns } from '@skerry/store';
import type { Caller } from '../auth/key-cache.ts';
import type { Core } from '../core.ts';

/** What an `Idempotency-Key` stands for. */
export interface Repeatable {
  readonly key: string;
  /** Digest of method, path and body. */
  readonly requestHash: string;
}

/** Writes, in the transaction of the change, what the call was about. */
export type Remember = (nouns: StoreNouns, target: string) => Promise<void>;

/**
 * Does a change once for an idempotency key. `act` makes the change and remembers its target in the same transaction; `again` gives the result
 * of a call that was made before. Throws `conflict` when the key was used for another request.
 */
export async function idempotent<T>(
  core: Core,
  caller: Caller,
  repeatable: Repeatable | undefined,
  again: (target: string) => Promise<T>,
  act: (remember: Remember) => Promise<T>,
): Promise<T> {
  if (repeatable === undefined) return act(async () => undefined);
  const { projectId } = caller;
  const { key, requestHash } = repeatable;
  return core.once.run(`${projectId}:${key}`, async () => {
    const found = await core.store.idempotency.find(projectId, key);
    if (found === undefined)
      return act((nouns, target) =>
        nouns.idempotency.insert({ projectId, key, requestHash, target, createdAtMs: Date.now() }),
      );
    if (found.requestHash !== requestHash)
      throw new Problem('already_exists', `The idempotency key "${key}" was used for another request`, {
        reason: 'idempotency_key_reused',
        hint: 'Use a new key for each new request.',
      });
    return again(found.target);
  });
}
