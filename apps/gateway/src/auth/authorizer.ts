import { createHash } from 'node:crypto';
import { Problem } from '@skerry/model';
import { type AuthorizeAnswer, gatewayPaths, type JsonClient } from '@skerry/protocol';
import { callTwice } from '../routes/call-twice.ts';

/** Who a key is, with the hash that a revocation names. */
export interface Caller extends AuthorizeAnswer {
  readonly keyHash: string;
}

const keyPattern = /^(?:skerry|e2b)_[A-Za-z0-9]{1,128}$/;
const mostCached = 10_000;

/** Asks the server who an API key is and remembers it for the time that the server allows. Knows hashes of keys, never keys. */
export class Authorizer {
  readonly #client: JsonClient;
  readonly #cache = new Map<string, { readonly caller: Caller; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<Caller>>();
  readonly #revoked = new Set<string>();

  constructor(client: JsonClient) {
    this.#client = client;
  }

  /** Throws `unauthenticated` for a key that nobody has, `unavailable` when the server is away and the key is not remembered. */
  async authorize(apiKey: string): Promise<Caller> {
    if (!keyPattern.test(apiKey)) throw unknownKey();
    const keyHash = createHash('sha256').update(apiKey).digest('hex');
    const cached = this.#cache.get(keyHash);
    if (cached !== undefined && performance.now() < cached.untilMs) return cached.caller;
    this.#cache.delete(keyHash);
    let asking = this.#asking.get(keyHash);
    if (asking === undefined) {
      asking = this.#ask(apiKey, keyHash).finally(() => this.#asking.delete(keyHash));
      this.#asking.set(keyHash, asking);
    }
    return await asking;
  }

  /** Forgets a revoked key for good, also when the answer about it is still on its way. */
  revoke(keyHash: string): void {
    this.#revoked.add(keyHash);
    this.#cache.delete(keyHash);
  }

  /** Whether a key was revoked while something that it opened was on its way. */
  isRevoked(keyHash: string): boolean {
    return this.#revoked.has(keyHash);
  }

  /** Forgets all answers: after a time without the server's stream, revocations may have been missed. */
  forget(): void {
    this.#cache.clear();
  }

  async #ask(apiKey: string, keyHash: string): Promise<Caller> {
    const answer = (await callTwice(this.#client, gatewayPaths.authorize, { key: apiKey })) as AuthorizeAnswer;
    if (this.#revoked.has(keyHash)) throw unknownKey();
    const caller: Caller = { projectId: answer.projectId, role: answer.role, ttlMs: answer.ttlMs, keyHash };
    if (this.#cache.size >= mostCached) this.#cache.clear();
    this.#cache.set(keyHash, { caller, untilMs: performance.now() + answer.ttlMs });
    return caller;
  }
}

/** Throws `forbidden` unless the caller may use sandboxes. */
export function requireMember(caller: Caller): void {
  if (caller.role === 'viewer')
    throw new Problem('forbidden', 'The API key may only read', {
      reason: 'role_too_low',
      hint: 'Use a key with role "member" or "admin".',
    });
}

export function unknownKey(): Problem {
  return new Problem('unauthenticated', 'The API key is not valid', {
    reason: 'invalid_key',
    hint: 'Send a valid key as "Authorization: Bearer KEY" or "X-API-Key: KEY".',
  });
}

export function missingKey(): Problem {
  return new Problem('unauthenticated', 'The request has no API key', {
    reason: 'missing_key',
    hint: 'Send one as "Authorization: Bearer KEY" or "X-API-Key: KEY".',
  });
}
