import {
  type ClientRequest,
  type IncomingMessage,
  request as openRequest,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { type AnswerFilter, AnswerPassage } from './answer-passage.ts';
import { forwardResponseHeaders, forwardTrailers, hasBody } from './headers.ts';
import { whenQuiet } from './inflow.ts';

/** Why no answer came from the other side. */
export interface RelayFailure {
  /**
   * `cut`: the boot or the key went away · `rest`: the boot rests, and gave no answer before · `timeout`: no connection in time · `refused`, `lost`:
   * before, after the connection was there.
   */
  readonly kind: 'cut' | 'rest' | 'timeout' | 'refused' | 'lost';
  readonly cause: unknown;
  /** Whether something may have been sent: only then can it have had an effect. */
  readonly sent: boolean;
}

export interface Relay {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Where to: agent and address, or socket path. */
  readonly to: Pick<RequestOptions, 'agent' | 'host' | 'port' | 'socketPath'>;
  /** Flat list of the headers to send. */
  readonly headers: readonly string[];
  /** Called at most once, and only while nothing of an answer has been sent. */
  readonly onFailure: (failure: RelayFailure) => void;
  /** Called with the connection once there is one. */
  readonly onSocket?: (socket: Socket) => void;
  /** Sees the request's body as it passes. */
  readonly onBody?: ((chunk: Buffer) => void) | undefined;
  /** Called once, when nothing is under way to the other side any more; the answer may still be on its way to a slow client. */
  readonly onDone?: () => void;
  /** What the answer's body passes through; `undefined` for most. */
  readonly filter?: (answer: IncomingMessage) => AnswerFilter | undefined;
}

/** What can be done to an exchange from outside. */
export interface RelayControl {
  /** Ends it at once. */
  cut(): void;
  /** Ends it in order: what the other side has sent is passed on first. */
  end(why: 'rest' | 'gone'): void;
}

const connectTimeoutMs = 10_000;
/** How long an answer may still take when the boot is to rest, in `ms`. */
const restGraceMs = 2000;
const retried = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Passes one request on and its answer back, as they come, with back-pressure both ways. Either side's end ends the other at once. */
export function relay(exchange: Relay): RelayControl {
  const { request, response } = exchange;
  const bodied = hasBody(request);
  let outgoing: ClientRequest;
  let passage: AnswerPassage | undefined;
  let sent = false;
  let finished = false;
  let done = false;
  let ending: 'rest' | 'gone' | undefined;
  let giveUpEnd = (): void => undefined;

  const markDone = (): void => {
    if (done) return;
    done = true;
    giveUpEnd();
    exchange.onDone?.();
  };
  // What nobody passes on any more is read away, or the connection's next request would wait behind it.
  const drain = (): void => {
    request.unpipe();
    request.resume();
  };
  const fail = (kind: RelayFailure['kind'], cause: unknown): void => {
    if (finished) return;
    finished = true;
    // Before the connection goes, which takes with it what was read and not passed on yet.
    if (kind !== 'cut') passage?.breakOff();
    outgoing.destroy();
    if (sent) drain();
    markDone();
    if (passage === undefined && !response.headersSent) exchange.onFailure({ kind, cause, sent });
    else if (passage === undefined || kind === 'cut') response.destroy();
  };

  const send = (mayRetry: boolean): void => {
    outgoing = openRequest({
      ...exchange.to,
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: exchange.headers as string[],
      setHost: false,
    });
    const attempt = outgoing;
    let connectTimer: NodeJS.Timeout | undefined;
    // The body is not touched before there is a connection: until then the request can still go elsewhere.
    const connected = (): void => {
      clearTimeout(connectTimer);
      if (finished || attempt !== outgoing) return;
      sent = true;
      if (!bodied) return;
      request.once('end', () => {
        const trailers = forwardTrailers(request.rawTrailers);
        if (trailers.length > 0) attempt.addTrailers(trailers);
      });
      if (exchange.onBody !== undefined) request.on('data', exchange.onBody);
      request.pipe(attempt);
    };
    // Known at once of a kept connection, so that head and body leave together.
    const { reusedSocket } = attempt;
    if (reusedSocket) connected();
    attempt.once('socket', (socket) => {
      exchange.onSocket?.(socket);
      if (reusedSocket) return;
      if (!socket.connecting) {
        connected();
        return;
      }
      connectTimer = setTimeout(() => fail('timeout', new Error('No connection in time')), connectTimeoutMs);
      socket.once('connect', connected);
    });
    attempt.once('close', () => {
      clearTimeout(connectTimer);
      // Node ends a connection without an error when its answer is an upgrade that nobody asked for.
      if (passage === undefined && attempt === outgoing)
        fail('lost', new Error('The connection closed without an answer'));
    });
    attempt.on('error', (error) => {
      clearTimeout(connectTimer);
      if (finished && sent) drain();
      if (finished || attempt !== outgoing) return;
      // The other side may reset what it did not read of the request: its answer tells itself whether it is whole.
      if (passage !== undefined && bodied && !request.complete) return;
      // A kept connection may have been closed by the other side just before its use: then nothing has been done yet.
      if (mayRetry && reusedSocket && passage === undefined) send(false);
      else fail(sent ? 'lost' : 'refused', error);
    });
    attempt.once('continue', () => {
      if (finished || response.headersSent) return;
      response.shouldKeepAlive = true;
      response.writeContinue();
    });
    attempt.once('response', (incoming) => {
      if (finished) {
        incoming.destroy();
        return;
      }
      answer(incoming);
    });
    if (!bodied) attempt.end();
  };

  const answer = (incoming: IncomingMessage): void => {
    const chunked = incoming.headers['transfer-encoding'] !== undefined && request.httpVersionMinor > 0;
    const headers = forwardResponseHeaders(incoming, chunked);
    // Closing while the body still comes would reset the connection, and the answer with it: the client closes when it has it.
    if (bodied && !request.complete && request.httpVersionMinor > 0 && request.headers.expect === undefined)
      response.shouldKeepAlive = true;
    try {
      response.writeHead(incoming.statusCode ?? 0, incoming.statusMessage ?? '', headers);
    } catch (error) {
      // Node refuses to write a head that our clients must not get.
      fail('lost', error);
      return;
    }
    const filter = chunked ? exchange.filter?.(incoming) : undefined;
    incoming.once('end', () => {
      const trailers = forwardTrailers(incoming.rawTrailers);
      if (trailers.length > 0 && chunked) response.addTrailers(trailers);
      finished = true;
      // Answered before the body had come: Node would not pass the rest on, and the client's next request would wait behind it.
      if (bodied && !request.complete) {
        drain();
        outgoing.destroy();
      }
      markDone();
    });
    incoming.once('error', (error) => fail('lost', error));
    incoming.once('close', () => {
      if (!incoming.complete) fail('lost', new Error('The answer ended early'));
    });
    passage = new AnswerPassage(incoming, response, filter);
    if (ending === 'rest') askToEnd();
    else if (ending === 'gone') passage.hurry();
  };

  // Closed in half: the guest takes that as its client's leaving, ends the stream, and is read to its end.
  const askToEnd = (): void => {
    if (passage?.expectEnd() === true) outgoing.socket?.end();
  };

  const end = (why: 'rest' | 'gone'): void => {
    if (finished || ending === why) return;
    ending = why;
    giveUpEnd();
    if (!sent) return fail(why === 'rest' ? 'rest' : 'cut', new Error('The boot ended before anything was sent'));
    if (why === 'rest') {
      askToEnd();
      const timer = setTimeout(() => fail('rest', new Error('The boot rests')), restGraceMs);
      giveUpEnd = () => clearTimeout(timer);
      return;
    }
    passage?.hurry();
    giveUpEnd = whenQuiet(outgoing.socket, () =>
      fail(passage === undefined ? 'cut' : 'lost', new Error('The boot is gone')),
    );
  };

  response.once('close', () => {
    const whole = finished && response.writableFinished;
    finished = true;
    if (!whole) outgoing.destroy();
    markDone();
  });
  if (bodied)
    request.once('close', () => {
      if (!request.complete) outgoing.destroy();
    });
  send(!bodied && retried.has(request.method ?? ''));
  return { cut: () => fail('cut', new Error('Cut')), end };
}
