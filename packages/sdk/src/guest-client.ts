import type { Sandbox as SandboxView } from '@skerry/protocol';
import { decodeFrames, type EndStreamMessage, encodeFrame, endStreamFlag, guestPort } from '@skerry/protocol/client';
import { errorOfConnect, errorOfFailure, SkerryError } from './skerry-error.ts';
import type { Transport } from './transport.ts';

export interface GuestCall {
  /** Whose rights are used; the sandbox's default user when absent. */
  readonly user?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** After this many `ms` the guest ends what the call started. */
  readonly timeoutMs?: number | undefined;
}

const keepAliveSeconds = 50;

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
  async unary<T>(path: string, message: unknown, call: GuestCall = {}): Promise<T> {
    const headers = { 'content-type': 'application/json', 'connect-protocol-version': '1' };
    const response = await this.request('POST', path, { ...call, headers, body: JSON.stringify(message) });
    return (await response.json()) as T;
  }

  /** One question, many answers: read as fast as they are taken. Leaving the loop closes the connection. */
  async *stream<T>(path: string, message: unknown, call: GuestCall = {}): AsyncGenerator<T> {
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

  /** A plain HTTP request to the guest. */
  async request(
    method: string,
    path: string,
    call: GuestCall & { readonly headers?: Readonly<Record<string, string>>; readonly body?: RequestInit['body'] },
  ): Promise<Response> {
    try {
      return await this.#transport.toSandbox(
        { sandboxId: this.#view.id, port: guestPort, accessToken: this.#view.accessToken },
        method,
        path,
        {
          headers: {
            ...call.headers,
            ...(call.user === undefined ? {} : { authorization: `Basic ${btoa(`${call.user}:`)}` }),
          },
          body: call.body ?? null,
          signal: call.signal,
        },
      );
    } catch (error) {
      if (error instanceof SkerryError && error.reason === 'sandbox_not_running')
        throw new SkerryError({
          code: 'conflict',
          reason: 'sandbox_not_running',
          message: `The sandbox "${this.#view.name}" does not run`,
          hint: `Start it with "skerry start ${this.#view.name}".`,
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
