import { sleep } from './sleep.ts';
import { errorOfAnswer, errorOfFailure, type SkerryError } from './skerry-error.ts';

export interface Connection {
  /** Address of Skerry, such as `http://127.0.0.1:7070`. */
  readonly url: string;
  readonly apiKey: string;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface Call {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

const attempts = 3;
const firstPauseMs = 150;

/** Sends requests with the key, and makes errors of what is not an answer. */
export class Transport {
  readonly url: string;
  readonly #apiKey: string;
  readonly #fetch: typeof fetch;

  constructor(connection: Connection) {
    this.url = connection.url.replace(/\/+$/, '');
    this.#apiKey = connection.apiKey;
    this.#fetch = connection.fetch ?? fetch;
  }

  /**
   * Calls the API and gives back the parsed answer. What is safe to repeat (a GET; a POST with `idempotency-key`; PUT and DELETE) is sent again, three
   * times in all, when there was no answer or a part of Skerry was just starting.
   */
  async json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const repeatable = method !== 'POST' && method !== 'PATCH' ? true : call.headers?.['idempotency-key'] !== undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.#send(method, path, call);
        const text = await response.text();
        return (text === '' ? {} : JSON.parse(text)) as T;
      } catch (unknown) {
        const error = errorOfFailure(unknown, this.url, call.signal);
        if (!repeatable || attempt >= attempts || !isWorthAnotherTry(error)) throw error;
        await sleep(firstPauseMs * 2 ** (attempt - 1), call.signal);
      }
    }
  }

  /** The body of an answer, as a stream of bytes. */
  async download(path: string, call: Call = {}): Promise<ReadableStream<Uint8Array>> {
    try {
      const response = await this.#send('GET', path, { ...call, headers: { 'accept-encoding': 'identity' } });
      return response.body ?? new Blob([]).stream();
    } catch (error) {
      throw errorOfFailure(error, this.url, call.signal);
    }
  }

  /** Sends bytes as they come and gives back the parsed answer. Never repeated: the bytes are gone. */
  async upload<T>(path: string, content: ReadableStream<Uint8Array>, call: Omit<Call, 'body'> = {}): Promise<T> {
    try {
      const response = await this.#send('POST', path, { ...call, content });
      return (await response.json()) as T;
    } catch (error) {
      throw errorOfFailure(error, this.url, call.signal);
    }
  }

  /** Sends one request to a port of a sandbox. Throws what is no success. */
  async toSandbox(
    target: { readonly sandboxId: string; readonly port: number; readonly accessToken?: string | undefined },
    method: string,
    path: string,
    call: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: RequestInit['body'];
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<Response> {
    const headers: Record<string, string> = {
      ...call.headers,
      'e2b-sandbox-id': target.sandboxId,
      'e2b-sandbox-port': String(target.port),
      // Either is enough; the gateway never passes an API key on.
      ...(target.accessToken === undefined ? { 'x-api-key': this.#apiKey } : { 'x-access-token': target.accessToken }),
    };
    let response: Response;
    try {
      response = await this.#fetch(this.url + path, {
        method,
        headers,
        ...(call.body === undefined ? {} : { body: call.body, duplex: 'half' }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      } as RequestInit);
    } catch (error) {
      throw errorOfFailure(error, this.url, call.signal);
    }
    if (!response.ok) throw errorOfAnswer(response.status, await response.text().catch(() => ''));
    return response;
  }

  async #send(
    method: string,
    path: string,
    call: Call & { readonly content?: ReadableStream<Uint8Array> },
  ): Promise<Response> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) query.set(name, String(value));
    const search = query.size === 0 ? '' : `?${query.toString()}`;
    const response = await this.#fetch(this.url + path + search, {
      method,
      headers: {
        authorization: `Bearer ${this.#apiKey}`,
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(call.content === undefined ? {} : { 'content-type': 'application/octet-stream' }),
        ...call.headers,
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      ...(call.content === undefined ? {} : { body: call.content, duplex: 'half' }),
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    } as RequestInit);
    if (!response.ok) throw errorOfAnswer(response.status, await response.text());
    return response;
  }
}

function isWorthAnotherTry(error: SkerryError): boolean {
  return error.code === 'unavailable' && error.reason !== 'not_reachable';
}
