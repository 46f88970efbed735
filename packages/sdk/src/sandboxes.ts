import type {
  CreateSandboxBody,
  EventList,
  Sandbox as SandboxView,
  SandboxList,
  SkerryEvent,
  UpdateSandboxBody,
} from '@skerry/protocol';
import { Sandbox } from './sandbox.ts';
import type { Transport } from './transport.ts';

export interface WaitOptions {
  /** How long to wait for the state, such as `90s`; `false` to return at once. The server's default is 60 s. */
  readonly wait?: string | false;
  readonly signal?: AbortSignal | undefined;
}

export interface ListOptions {
  readonly status?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly name?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The sandboxes of the key's project. Each call takes an id or a name. */
export class Sandboxes {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates one and boots it. The same call is never done twice, whatever happens to the connection. */
  async create(
    body: CreateSandboxBody = {},
    options: WaitOptions & { readonly idempotencyKey?: string } = {},
  ): Promise<Sandbox> {
    const headers = { 'idempotency-key': options.idempotencyKey ?? crypto.randomUUID() };
    return this.#wrap(await this.#transport.json('POST', '/v1/sandboxes', { body, headers, ...call(options) }));
  }

  async get(sandbox: string, signal?: AbortSignal): Promise<Sandbox> {
    return this.#wrap(await this.#transport.json('GET', path(sandbox), { signal }));
  }

  /** All that match, newest first; pages are fetched as they are needed. Items have no access token. */
  async *list(options: ListOptions = {}): AsyncGenerator<SandboxView> {
    const query = {
      limit: 200,
      status: options.status?.join(','),
      name: options.name,
      label:
        options.labels === undefined
          ? undefined
          : Object.entries(options.labels)
              .map(([key, value]) => `${key}=${value}`)
              .join(','),
    };
    let cursor: string | undefined;
    do {
      const page: SandboxList = await this.#transport.json('GET', '/v1/sandboxes', {
        query: { ...query, cursor },
        signal: options.signal,
      });
      yield* page.items;
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** Boots a stopped one; fine when it runs. */
  async start(sandbox: string, options: WaitOptions = {}): Promise<Sandbox> {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    return this.#wrap(
      await this.#transport.json('POST', `${path(sandbox)}/start`, { body: {}, headers, ...call(options) }),
    );
  }

  /** Ends what runs in it and keeps its disk; fine when it is stopped. */
  async stop(sandbox: string, options: WaitOptions & { readonly graceMs?: number } = {}): Promise<Sandbox> {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const body = options.graceMs === undefined ? {} : { graceMs: options.graceMs };
    return this.#wrap(await this.#transport.json('POST', `${path(sandbox)}/stop`, { body, headers, ...call(options) }));
  }

  /** Deletes it and its disk. */
  async delete(sandbox: string, options: WaitOptions = {}): Promise<SandboxView> {
    return this.#transport.json('DELETE', path(sandbox), call(options));
  }

  /** Changes name, labels or timeout. */
  async update(sandbox: string, body: UpdateSandboxBody, signal?: AbortSignal): Promise<Sandbox> {
    return this.#wrap(await this.#transport.json('PATCH', path(sandbox), { body, signal }));
  }

  /** What happened to it, oldest first. */
  async *events(sandbox: string, signal?: AbortSignal): AsyncGenerator<SkerryEvent> {
    let cursor: string | undefined;
    do {
      const page: EventList = await this.#transport.json('GET', `${path(sandbox)}/events`, {
        query: { limit: 200, cursor },
        signal,
      });
      yield* page.items;
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** The last of what its guest and start command printed. */
  async logs(sandbox: string, maxBytes?: number, signal?: AbortSignal): Promise<string> {
    return (
      await this.#transport.json<{ text: string }>('GET', `${path(sandbox)}/logs`, { query: { maxBytes }, signal })
    ).text;
  }

  #wrap(view: SandboxView): Sandbox {
    return new Sandbox(view, this.#transport);
  }
}

function path(sandbox: string): string {
  return `/v1/sandboxes/${encodeURIComponent(sandbox)}`;
}

function call(options: WaitOptions): { query: { wait: string | undefined }; signal: AbortSignal | undefined } {
  return { query: { wait: options.wait === undefined ? undefined : String(options.wait) }, signal: options.signal };
}
