import type {
  Activity,
  CreateHoldBody,
  CreateSandboxBody,
  EventList,
  ForkSandboxBody,
  Hold,
  RollbackSandboxBody,
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

  /** Boots a stopped one, resumes a paused one; fine when it runs. */
  async start(sandbox: string, options: WaitOptions = {}): Promise<Sandbox> {
    return this.#wrap(await this.#change(sandbox, 'start', {}, options));
  }

  /**
   * Saves memory and disk and ends the boot; returns when both are durable. Every process goes on where it was at `resume`. With
   * `memory: false` processes end as at a stop. When saving fails, this throws why, and the sandbox goes on running.
   */
  async pause(sandbox: string, options: WaitOptions & { readonly memory?: boolean } = {}): Promise<Sandbox> {
    return this.#wrap(
      await this.#change(sandbox, 'pause', options.memory === undefined ? {} : { memory: options.memory }, options),
    );
  }

  /** Brings a paused one back; fine when it runs. `view.resume` says from what, and what was lost if its memory could not be used. */
  async resume(sandbox: string, options: WaitOptions = {}): Promise<Sandbox> {
    return this.#wrap(await this.#change(sandbox, 'resume', {}, options));
  }

  /** Running copies of a sandbox as it is now, each with an identity of its own; it goes on itself. */
  async fork(sandbox: string, body: ForkSandboxBody = {}, options: WaitOptions = {}): Promise<Sandbox[]> {
    const { items } = await this.#change<SandboxList>(sandbox, 'fork', body, options);
    return items.map((view) => this.#wrap(view));
  }

  /** Puts a sandbox back to a snapshot, in place. */
  async rollback(sandbox: string, body: RollbackSandboxBody, options: WaitOptions = {}): Promise<Sandbox> {
    return this.#wrap(await this.#change(sandbox, 'rollback', body, options));
  }

  /** Ends what runs in it and keeps its disk; fine when it is stopped. */
  async stop(sandbox: string, options: WaitOptions & { readonly graceMs?: number } = {}): Promise<Sandbox> {
    const body = options.graceMs === undefined ? {} : { graceMs: options.graceMs };
    return this.#wrap(await this.#change(sandbox, 'stop', body, options));
  }

  /** Deletes it and its disk. */
  async delete(sandbox: string, options: WaitOptions = {}): Promise<SandboxView> {
    return this.#transport.json('DELETE', path(sandbox), call(options));
  }

  /** Changes name, labels, timeout, or when it rests. */
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

  /** Why it is awake or rests, what happens next, and what it has cost. Asking never keeps it awake. */
  async activity(sandbox: string, signal?: AbortSignal): Promise<Activity> {
    return this.#transport.json('GET', `${path(sandbox)}/activity`, { signal });
  }

  /** Keeps it awake for a time, two hours by default, or until it is released. */
  async hold(sandbox: string, body: CreateHoldBody = {}, signal?: AbortSignal): Promise<Hold> {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    return this.#transport.json('POST', `${path(sandbox)}/holds`, { body, headers, signal });
  }

  /** Ends one hold, or all of them. */
  async release(sandbox: string, hold?: string, signal?: AbortSignal): Promise<void> {
    const which = hold === undefined ? '' : `/${encodeURIComponent(hold)}`;
    await this.#transport.json('DELETE', `${path(sandbox)}/holds${which}`, { signal });
  }

  /** The sandbox as one file, as it is now; with its memory where asked and there is some. */
  async export(
    sandbox: string,
    options: { readonly memory?: boolean; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ReadableStream<Uint8Array>> {
    return this.#transport.download(`${path(sandbox)}/export`, {
      query: { memory: options.memory ?? false },
      signal: options.signal,
    });
  }

  /** Makes a sandbox from such a file and boots it, unless `start` is `false`. */
  async import(
    content: ReadableStream<Uint8Array>,
    options: WaitOptions & { readonly name?: string; readonly start?: boolean } = {},
  ): Promise<Sandbox> {
    const { query, signal } = call(options);
    return this.#wrap(
      await this.#transport.upload('/v1/import', content, {
        query: { ...query, name: options.name, start: options.start },
        signal,
      }),
    );
  }

  async #change<T = SandboxView>(sandbox: string, verb: string, body: unknown, options: WaitOptions): Promise<T> {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    return this.#transport.json('POST', `${path(sandbox)}/${verb}`, { body, headers, ...call(options) });
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
