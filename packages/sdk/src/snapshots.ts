import type { CreateSnapshotBody, Diff, Snapshot, SnapshotList } from '@skerry/protocol';
import type { Transport } from './transport.ts';

export interface ListSnapshotsOptions {
  /** Id or name of the sandbox that they were made of. */
  readonly sandbox?: string;
  readonly name?: string;
  /** Also those that pauses, forks and exports made. */
  readonly all?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The snapshots of the key's project. Each call takes an id or a name. */
export class Snapshots {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Saves a sandbox as it is now; returns when that is durable. The sandbox goes on. */
  async create(
    sandbox: string,
    body: CreateSnapshotBody = {},
    options: { readonly signal?: AbortSignal | undefined; readonly idempotencyKey?: string } = {},
  ): Promise<Snapshot> {
    const headers = { 'idempotency-key': options.idempotencyKey ?? crypto.randomUUID() };
    const path = `/v1/sandboxes/${encodeURIComponent(sandbox)}/snapshots`;
    return this.#transport.json('POST', path, { body, headers, signal: options.signal });
  }

  /** All that match, newest first; pages are fetched as they are needed. */
  async *list(options: ListSnapshotsOptions = {}): AsyncGenerator<Snapshot> {
    const { signal, ...query } = options;
    let cursor: string | undefined;
    do {
      const page: SnapshotList = await this.#transport.json('GET', '/v1/snapshots', {
        query: { limit: 200, ...query, cursor },
        signal,
      });
      yield* page.items;
      cursor = page.next;
    } while (cursor !== undefined);
  }

  async get(snapshot: string, signal?: AbortSignal): Promise<Snapshot> {
    return this.#transport.json('GET', path(snapshot), { signal });
  }

  /** Deletes it; what was made from it stays whole. */
  async delete(snapshot: string, signal?: AbortSignal): Promise<void> {
    await this.#transport.json('DELETE', path(snapshot), { signal });
  }

  /** Reads all of it and compares it with its digests. Throws `data_loss`. */
  async verify(snapshot: string, signal?: AbortSignal): Promise<void> {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    await this.#transport.json('POST', `${path(snapshot)}/verify`, { body: {}, headers, signal });
  }

  /** What is different in `to`: both are ids or names of sandboxes or snapshots. */
  async diff(from: string, to: string, options: { limit?: number; signal?: AbortSignal } = {}): Promise<Diff> {
    return this.#transport.json('GET', '/v1/diff', {
      query: { from, to, limit: options.limit },
      signal: options.signal,
    });
  }

  /** The whole snapshot as one file; with its memory where asked and there is some. */
  async export(
    snapshot: string,
    options: { readonly memory?: boolean; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ReadableStream<Uint8Array>> {
    return this.#transport.download(`${path(snapshot)}/export`, {
      query: { memory: options.memory ?? false },
      signal: options.signal,
    });
  }
}

function path(snapshot: string): string {
  return `/v1/snapshots/${encodeURIComponent(snapshot)}`;
}
