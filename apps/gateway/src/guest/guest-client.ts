import { type IncomingMessage, request as openRequest } from 'node:http';
import type { Readable } from 'node:stream';
import { Problem } from '@skerry/model';
import {
  decodeFrames,
  encodeFrame,
  type EndStreamMessage,
  endStreamFlag,
  guestPort,
  type Route,
} from '@skerry/protocol';
import { Inflow, whenQuiet } from '../http/inflow.ts';
import type { Visit } from '../sandbox/visit.ts';
import { connectProblem, fileProblem } from './guest-problem.ts';
import { GuestStream } from './guest-stream.ts';

/** Who a call is made as, and what ends it. */
export interface GuestCall {
  /** User inside the sandbox; the sandbox's default when absent. */
  readonly user?: string;
  readonly signal: AbortSignal;
}

const keepaliveSeconds = '50';
const mostAnswerBytes = 64 * 1024 * 1024;
const mostProblemBytes = 64 * 1024;
/** Time for a connection, in `ms`. */
const connectTimeoutMs = 10_000;
/** How long a call may still take when the boot is to rest, in `ms`. */
const restGraceMs = 2000;

/** An answer, and what reads it to its end before its boot goes away. */
interface Answer {
  readonly incoming: IncomingMessage;
  /** Called when the boot is about to go away. */
  onEnding: ((why: 'rest' | 'gone') => void) | undefined;
}

/** Calls the guest of one boot as its owner, with the sandbox's token. Throws problems that a caller may read. */
export class GuestClient {
  readonly #route: Route;
  readonly #visit: Visit;

  /** All calls are part of this visit to the boot. */
  constructor(route: Route, visit: Visit) {
    this.#route = route;
    this.#visit = visit;
  }

  /** Calls a method with one answer. */
  async unary(path: string, message: unknown, call: GuestCall): Promise<unknown> {
    const body = Buffer.from(JSON.stringify(message));
    const headers = {
      'content-type': 'application/json',
      'connect-protocol-version': '1',
      'content-length': String(body.length),
    };
    const { incoming: answer } = await this.#send('POST', path, headers, body, call);
    const text = await readText(answer, mostAnswerBytes);
    this.#visit.moved += 1;
    if (answer.statusCode === 200) return parseJson(text) ?? {};
    throw connectProblem(endError(text), answer.statusCode ?? 0);
  }

  /** Calls a method whose answer is a stream of messages. `timeoutMs` is the guest's to keep. */
  async *stream(
    path: string,
    message: unknown,
    call: GuestCall & { readonly timeoutMs?: number },
  ): AsyncGenerator<unknown> {
    const body = Buffer.from(encodeFrame(message));
    const answered = await this.#send(
      'POST',
      path,
      {
        'content-type': 'application/connect+json',
        'connect-protocol-version': '1',
        'keepalive-ping-interval': keepaliveSeconds,
        'content-length': String(body.length),
        ...(call.timeoutMs === undefined
          ? {}
          : { 'connect-timeout-ms': String(Math.min(call.timeoutMs, 9_999_999_999)) }),
      },
      body,
      call,
    );
    const answer = answered.incoming;
    try {
      if (answer.statusCode !== 200)
        throw connectProblem(endError(await readText(answer, mostProblemBytes)), answer.statusCode ?? 0);
      let end: EndStreamMessage | undefined;
      for await (const frame of decodeFrames(this.#streamOf(answered))) {
        // Read to its very end, an answer gives its connection back.
        if ((frame.flags & endStreamFlag) !== 0) end = frame.message as EndStreamMessage;
        else if (end === undefined) yield frame.message;
      }
      if (end === undefined) throw sandboxLost(undefined);
      if (end.error !== undefined) throw connectProblem(end.error, 200);
    } catch (error) {
      if (call.signal.aborted) throw Problem.from(call.signal.reason);
      throw error instanceof Problem ? error : sandboxLost(error);
    } finally {
      answer.destroy();
    }
  }

  /** Calls `/files`. Gives the answer when it is a success. */
  async files(
    method: 'GET' | 'POST',
    query: URLSearchParams,
    headers: Record<string, string>,
    body: Readable | undefined,
    call: GuestCall,
  ): Promise<IncomingMessage> {
    const { incoming: answer } = await this.#send(method, `/files?${query.toString()}`, headers, body, call);
    const status = answer.statusCode ?? 0;
    if (status < 300 || status === 304 || status === 416) return answer;
    throw fileProblem(endError(await readText(answer, mostProblemBytes)), status, query.get('path') ?? '');
  }

  #streamOf(answered: Answer): AsyncIterable<Buffer> {
    const { incoming } = answered;
    const stream = new GuestStream('connect', (bytes) => {
      this.#visit.moved += bytes;
    });
    const inflow = new Inflow(incoming, stream);
    const lost = (): void => {
      if (incoming.complete) return;
      inflow.passRest();
      stream.end();
    };
    incoming.once('error', lost);
    incoming.once('close', lost);
    answered.onEnding = (why) => {
      inflow.hurry();
      if (why === 'gone') return;
      // Closed in half: the guest takes that as its client's leaving and ends the stream, not the process.
      stream.expectEnd();
      incoming.socket.end();
    };
    return stream;
  }

  async #send(
    method: string,
    path: string,
    headers: Record<string, string>,
    body: Buffer | Readable | undefined,
    call: GuestCall,
  ): Promise<Answer> {
    const { address, accessToken } = this.#route;
    call.signal.throwIfAborted();
    return await new Promise((resolve, reject) => {
      let answer: Answer | undefined;
      const outgoing = openRequest(
        {
          agent: this.#visit.upstream.agent,
          host: address,
          port: guestPort,
          method,
          path,
          headers: {
            ...headers,
            'x-access-token': accessToken,
            ...(call.user === undefined
              ? {}
              : { authorization: `Basic ${Buffer.from(`${call.user}:`).toString('base64')}` }),
          },
          signal: call.signal,
        },
        (incoming) => {
          answer = { incoming, onEnding: undefined };
          resolve(answer);
        },
      );
      let giveUpEnd = (): void => undefined;
      const leave = this.#visit.add({
        cut: () => outgoing.destroy(),
        end: (why) => {
          giveUpEnd();
          answer?.onEnding?.(why);
          const over = (): void => void outgoing.destroy();
          if (why === 'gone') giveUpEnd = whenQuiet(outgoing.socket, over);
          else {
            const timer = setTimeout(over, restGraceMs);
            giveUpEnd = () => clearTimeout(timer);
          }
        },
      });
      outgoing.once('close', () => {
        giveUpEnd();
        leave();
      });
      outgoing.once('socket', (socket) => {
        if (path.startsWith('/files')) this.#visit.socket = socket;
        if (!socket.connecting) return;
        const timer = setTimeout(() => outgoing.destroy(new Error('No connection in time')), connectTimeoutMs);
        socket.once('connect', () => clearTimeout(timer));
        socket.once('close', () => clearTimeout(timer));
      });
      outgoing.on('error', (cause) =>
        reject(
          call.signal.aborted
            ? Problem.from(call.signal.reason)
            : this.#visit.ending === 'rest'
              ? sandboxPausing(cause)
              : sandboxLost(cause),
        ),
      );
      if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body);
      else {
        body.once('close', () => {
          if (!body.readableEnded) outgoing.destroy();
        });
        // The guest may refuse an upload before its end: what still comes is read away.
        outgoing.once('close', () => {
          body.unpipe(outgoing);
          body.resume();
        });
        body.pipe(outgoing);
      }
    });
  }
}

/** The sandbox went away during a call. */
export function sandboxLost(cause: unknown): Problem {
  return new Problem('unavailable', 'The sandbox went away during the call', {
    reason: 'sandbox_lost',
    hint: 'Look at its status with "skerry ls".',
    cause,
  });
}

/** The sandbox was put to rest during a call. */
export function sandboxPausing(cause: unknown): Problem {
  return new Problem('unavailable', 'The sandbox is being paused', {
    reason: 'sandbox_pausing',
    hint: 'What runs in it goes on when it wakes; look before you repeat the call.',
    cause,
  });
}

async function readText(answer: IncomingMessage, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > mostBytes)
        throw new Problem('internal', "The sandbox's answer is too large", { reason: 'answer_too_large' });
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Problem ? error : sandboxLost(error);
  }
  return Buffer.concat(chunks).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function endError(text: string): { readonly code: string; readonly message?: string } {
  const parsed = parseJson(text);
  const { code, message } = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>;
  return { code: typeof code === 'string' ? code : 'unknown', ...(typeof message === 'string' ? { message } : {}) };
}
