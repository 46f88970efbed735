import {
  type ClientRequest,
  type IncomingMessage,
  request as openRequest,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import { forwardResponseHeaders, forwardTrailers, hasBody } from './headers.ts';

/** Why no answer came from the other side. */
export interface RelayFailure {
  /** `cut`: the boot or the key went away · `timeout`: no connection in time · `refused`, `lost`: before, after the request was sent. */
  readonly kind: 'cut' | 'timeout' | 'refused' | 'lost';
  readonly cause: unknown;
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
}

const connectTimeoutMs = 10_000;
const retried = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Passes one request on and its answer back, as they come, with back-pressure both ways. Either side's end ends the other at once.
 * Returns what cuts it.
 */
export function relay(exchange: Relay): () => void {
  const { request, response } = exchange;
  const bodied = hasBody(request);
  let outgoing: ClientRequest;
  let answered = false;
  let finished = false;

  // What nobody passes on any more is read away, or the connection's next request would wait behind it.
  const drain = (): void => {
    request.unpipe();
    request.resume();
  };
  const fail = (kind: RelayFailure['kind'], cause: unknown): void => {
    if (finished) return;
    finished = true;
    outgoing.destroy();
    drain();
    if (answered || response.headersSent) response.destroy();
    else exchange.onFailure({ kind, cause });
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
    let sent = false;
    let connectTimer: NodeJS.Timeout | undefined;
    attempt.once('socket', (socket) => {
      if (!socket.connecting) {
        sent = true;
        return;
      }
      connectTimer = setTimeout(() => fail('timeout', new Error('No connection in time')), connectTimeoutMs);
      socket.once('connect', () => {
        sent = true;
        clearTimeout(connectTimer);
      });
    });
    attempt.once('close', () => {
      clearTimeout(connectTimer);
      // Node ends a connection without an error when its answer is an upgrade that nobody asked for.
      if (!answered && attempt === outgoing) fail('lost', new Error('The connection closed without an answer'));
    });
    attempt.on('error', (error) => {
      clearTimeout(connectTimer);
      if (finished) drain();
      if (finished || attempt !== outgoing) return;
      // A kept connection may have been closed by the other side just before its use: then nothing has been done yet.
      if (mayRetry && attempt.reusedSocket && !answered) send(false);
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
      answered = true;
      answer(incoming);
    });
    if (bodied) {
      request.once('end', () => {
        const trailers = forwardTrailers(request.rawTrailers);
        if (trailers.length > 0) attempt.addTrailers(trailers);
      });
      request.pipe(attempt);
    } else attempt.end();
  };

  const answer = (incoming: IncomingMessage): void => {
    const chunked = incoming.headers['transfer-encoding'] !== undefined && request.httpVersionMinor > 0;
    const headers = forwardResponseHeaders(incoming, chunked);
    try {
      response.writeHead(incoming.statusCode ?? 0, incoming.statusMessage ?? '', headers);
    } catch (error) {
      // Node refuses to write a head that our clients must not get.
      answered = false;
      fail('lost', error);
      return;
    }
    let begun = false;
    incoming.once('data', () => {
      begun = true;
    });
    // Streams such as events may send their first byte much later than their head.
    setImmediate(() => {
      if (!begun && !response.destroyed && !response.writableEnded) response.flushHeaders();
    });
    incoming.once('end', () => {
      const trailers = forwardTrailers(incoming.rawTrailers);
      if (trailers.length > 0 && chunked) response.addTrailers(trailers);
      finished = true;
      // Answered before the body had come: Node would not pass the rest on, and the client's next request would wait behind it.
      if (bodied && !request.complete) {
        drain();
        outgoing.destroy();
      }
    });
    incoming.once('error', (error) => fail('lost', error));
    incoming.once('close', () => {
      if (!incoming.complete) fail('lost', new Error('The answer ended early'));
    });
    incoming.pipe(response);
  };

  response.once('close', () => {
    const whole = finished && response.writableFinished;
    finished = true;
    if (!whole) outgoing.destroy();
  });
  if (bodied)
    request.once('close', () => {
      if (!request.complete) outgoing.destroy();
    });
  send(!bodied && retried.has(request.method ?? ''));
  return () => fail('cut', new Error('Cut'));
}
