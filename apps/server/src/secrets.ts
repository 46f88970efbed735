import { createHash, createHmac } from 'node:crypto';
import type { KeyId, SandboxId } from '@skerry/model';

/** Everything that is derived from the instance's master key; nothing of it is stored. */
export class Secrets {
  readonly #masterKey: Buffer;

  /** `masterKey` is 32 bytes, hex. */
  constructor(masterKey: string) {
    this.#masterKey = Buffer.from(masterKey, 'hex');
  }

  /** Token for a sandbox's guest. */
  accessToken(sandboxId: SandboxId, generation: number): string {
    return this.#derive(`${sandboxId}:${generation}`).toString('base64url');
  }

  /** The API key of an id: derived, so that a repeated call that made it can answer the same. */
  apiKey(id: KeyId, format: 'skerry' | 'e2b'): string {
    return `${format}_${this.#derive(`api-key:${id}`).toString('hex').slice(0, 40)}`;
  }

  #derive(text: string): Buffer {
    return createHmac('sha256', this.#masterKey).update(text).digest();
  }
}

/** What is stored of an API key. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
