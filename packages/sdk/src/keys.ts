import type { CreateKeyBody, Key, KeyList } from '@skerry/protocol';
import type { Transport } from './transport.ts';

/** API keys of the project; needs an admin's key. */
export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Makes a key. `key` of the answer is shown this one time. */
  async create(body: CreateKeyBody, signal?: AbortSignal): Promise<Key> {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    return this.#transport.json('POST', '/v1/keys', { body, headers, signal });
  }

  /** Every key, newest first. */
  async *list(signal?: AbortSignal): AsyncGenerator<Key> {
    let cursor: string | undefined;
    do {
      const page: KeyList = await this.#transport.json('GET', '/v1/keys', { query: { cursor }, signal });
      yield* page.items;
      cursor = page.next;
    } while (cursor !== undefined);
  }

  async revoke(id: string, signal?: AbortSignal): Promise<void> {
    await this.#transport.json('DELETE', `/v1/keys/${encodeURIComponent(id)}`, { signal });
  }
}
