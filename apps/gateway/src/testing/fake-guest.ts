import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { encodeFrame, endStreamFlag } from '@skerry/protocol';

/** One stream that a client has open. */
export interface FakeStream {
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  send(message: unknown, flags?: number): void;
  /** Breaks the connection off without a word. */
  vanish(): void;
}

/**
 * A guest as far as its streams go: each begins with a `start`, and ends as cancelled when its client closes its half of the connection, as Go's server
 * does. Everything else is answered with the request as JSON.
 */
export class FakeGuest {
  readonly streams: FakeStream[] = [];
  readonly requests: string[] = [];
  /** Messages that are still sent when a client has left, before the end. */
  lastWords: unknown[] = [];
  readonly server: Server = createServer((request, response) => this.#serve(request, response));

  constructor() {
    (this.server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(`${request.method} ${request.url}`);
    request.on('error', () => undefined);
    const type = request.headers['content-type'] ?? '';
    if (!type.startsWith('application/connect+')) {
      request.resume().once('end', () => response.end(JSON.stringify({ path: request.url })));
      return;
    }
    response.writeHead(200, { 'content-type': type });
    const stream: FakeStream = {
      path: request.url ?? '',
      request,
      response,
      send: (message, flags = 0) => void response.write(encodeFrame(message, flags)),
      vanish: () => response.socket?.resetAndDestroy(),
    };
    stream.send({ event: { start: { pid: 7 } } });
    request.resume();
    request.socket.once('end', () => {
      for (const message of this.lastWords) stream.send(message);
      response.end(encodeFrame({ error: { code: 'canceled', message: 'context canceled' } }, endStreamFlag));
    });
    this.streams.push(stream);
  }
}

/** Output of a process as the guest sends it. */
export function output(text: string): unknown {
  return { event: { data: { stdout: Buffer.from(text).toString('base64') } } };
}
export const keepalive = { event: { keepalive: {} } };
