import type { Sandbox as SandboxView } from '@skerry/protocol';
import { decodeFrames, type EndStreamMessage, encodeFrame, endStreamFlag, guestPort } from '@skerry/protocol/client';
import { errorOfConnect, errorOfFailure, SkerryError } from './skerry-error.ts';
import { sleep } from './sleep.ts';
import type { Transport } from './transport.ts';

export interface GuestCall {
  /** Whose rights are used; the sandbox's default user when absent. */
  readonly user?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** After this many `ms` the guest ends what the call started. */
  readonly timeoutMs?: number | undefined;
}

/** A call as this package makes it. */
interface GuestRequest extends GuestCall {
  /** Whether it is sent again when the sandbox was just being paused: that wakes it. `true` when absent. */
  readonly wake?: boolean;
}

const keepAliveSeconds = 50;
const attempts = 5;
const betweenAttemptsMs = 1000;

/** Speaks the guest's protocol (Connect with JSON) to one sandbox. */
export class GuestClient {
  readonly #transport: Transport;
  #view: SandboxView;

  constructor(transport: Transport, view: SandboxView) {
    this.#transport = transport;
    this.#view = view;
  }

  /** The sandbox as it was when it was last looked at. */
  get view(): SandboxView {
    return this.#view;
  }

  /** Looks at the sandbox anew, which does not wake it; a token that has changed is used from then on. */
  async look(signal?: AbortSignal): Promise<SandboxView> {
    this.#view = await this.#transport.json('GET', `/v1/sandboxes/${encodeURIComponent(this.#view.id)}`, { signal });
    return this.#view;
  }

  /** One question, one answer. */
  async unary<T>(path: string, message: unknown, call: GuestRequest = {}): Promise<T> {
    const headers = { 'content-type': 'application/json', 'connect-protocol-version': '1' };
    const response = await this.request('POST', path, { ...call, headers, body: JSON.stringify(message) });
    return (await response.json()) as T;
  }

  /** One question, many answers: read as fast as they are taken. Leaving the loop closes the connection. */
  async *stream<T>(path: string, message: unknown, call: GuestRequest = {}): AsyncGenerator<T> {
    const headers: Record<string, string> = {
      'content-type': 'application/connect+json',
      'connect-protocol-version': '1',
      'keepalive-ping-interval': String(keepAliveSeconds),
      ...(call.timeoutMs === undefined ? {} : { 'connect-timeout-ms': String(Math.ceil(call.timeoutMs)) }),
    };
    const response = await this.request('POST', path, { ...call, headers, body: encodeFrame(message) });
    if (response.body === null) throw errorOfConnect('internal', 'The guest answered without a stream');
    let ended = false;
    try {
      for await (const { flags, message: answer } of decodeFrames(
        response.body as unknown as AsyncIterable<Uint8Array>,
      )) {
        if ((flags & endStreamFlag) === 0) {
          yield answer as T;
          continue;
        }
        ended = true;
        const { error } = answer as EndStreamMessage;
        if (error !== undefined) throw errorOfConnect(error.code, error.message ?? '');
        return;
      }
    } catch (error) {
      if (error instanceof SkerryError || call.signal?.aborted === true)
        throw errorOfFailure(error, this.#transport.url, call.signal);
      throw this.#lost(error);
    }
    if (!ended) throw this.#lost(undefined);
  }

  /**
   * A plain HTTP request to the guest. One that met a pause before it was answered was not done: it is sent again, unless its body is a stream that
   * is gone.
   */
  async request(
    method: string,
    path: string,
    call: GuestRequest & { readonly headers?: Readonly<Record<string, string>>; readonly body?: RequestInit['body'] },
  ): Promise<Response> {
    const repeatable = call.wake !== false && !(call.body instanceof ReadableStream);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#send(method, path, call);
      } catch (error) {
        if (!repeatable || attempt >= attempts || !metPause(error)) throw error;
        await sleep(betweenAttemptsMs, call.signal);
      }
    }
  }

  async #send(
    method: string,
    path: string,
    call: GuestCall & { readonly headers?: Readonly<Record<string, string>>; readonly body?: RequestInit['body'] },
  ): Promise<Response> {
    const { id, name, accessToken } = this.#view;
    try {
      return await this.#transport.toSandbox({ sandboxId: id, port: guestPort, accessToken }, method, path, {
        headers: {
          ...call.headers,
          ...(call.user === undefined ? {} : { authorization: `Basic ${btoa(`${call.user}:`)}` }),
        },
        body: call.body ?? null,
        signal: call.signal,
      });
    } catch (error) {
      if (error instanceof SkerryError && error.reason === 'sandbox_not_running')
        throw new SkerryError({
          code: 'conflict',
          reason: 'sandbox_not_running',
          message: `The sandbox "${name}" does not run`,
          hint: `Start it with "skerry start ${name}".`,
          status: 409,
          cause: error,
        });
      throw error;
    }
  }

  #lost(cause: unknown): SkerryError {
    return new SkerryError({
      code: 'unavailable',
      reason: 'sandbox_lost',
      message: `The connection to the sandbox "${this.#view.name}" broke`,
      hint: `See what happened with "skerry get ${this.#view.name}".`,
      status: 0,
      cause,
    });
  }
}

/** Whether a call was turned away because the sandbox was on its way to rest. */
function metPause(error: unknown): boolean {
  return error instanceof SkerryError && error.status === 503 && error.message.includes('being paused');
}
