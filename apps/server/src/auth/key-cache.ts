import { type KeyId, Problem, type ProjectId } from '@skerry/model';
import type { KeyRole } from '@skerry/protocol';
import type { KeyRecord, Store } from '@skerry/store';
import { hashKey } from '../secrets.ts';

/** Who calls. */
export interface Caller {
  readonly projectId: ProjectId;
  readonly keyId: KeyId;
  readonly role: KeyRole;
}

const keptMs = 30_000;
const mostKept = 10_000;

/** Finds out whose a key is, with a cache by hash that a revocation empties. */
export class KeyCache {
  readonly #store: Store;
  readonly #kept = new Map<string, { readonly key: KeyRecord; readonly untilMs: number }>();
  readonly #onRevoked = new Set<(keyHash: string) => void>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The caller behind a key. Throws `unauthenticated` for one that is unknown, expired or revoked. */
  async authenticate(key: string): Promise<Caller & { readonly ttlMs: number }> {
    const hash = hashKey(key);
    const now = Date.now();
    let kept = this.#kept.get(hash);
    if (kept === undefined || kept.untilMs < now) {
      const record = await this.#store.keys.findByHash(hash);
      if (record === undefined) throw refused('The API key is not known here', 'unknown_key');
      if (this.#kept.size >= mostKept) this.#kept.clear();
      kept = { key: record, untilMs: now + keptMs };
      this.#kept.set(hash, kept);
    }
    const { projectId, id, role, expiresAtMs, revokedAtMs } = kept.key;
    if (revokedAtMs !== null) throw refused('The API key was revoked', 'revoked_key');
    if (expiresAtMs !== null && expiresAtMs <= now) throw refused('The API key has expired', 'expired_key');
    return { projectId, keyId: id, role, ttlMs: Math.min(keptMs, (expiresAtMs ?? Number.POSITIVE_INFINITY) - now) };
  }

  /** Forgets a key and tells whoever cached it. */
  revoked(keyHash: string): void {
    this.#kept.delete(keyHash);
    for (const tell of this.#onRevoked) tell(keyHash);
  }

  /** Calls back at every revocation. Gives back what ends that. */
  subscribe(listener: (keyHash: string) => void): () => void {
    this.#onRevoked.add(listener);
    return () => void this.#onRevoked.delete(listener);
  }
}

function refused(message: string, reason: string): Problem {
  return new Problem('unauthenticated', message, {
    reason,
    hint: 'Use a valid key; "skerry key" prints the first key of this instance.',
  });
}
