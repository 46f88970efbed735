import type { IncomingMessage } from 'node:http';
import type { ForwardedFacts } from './headers.ts';

/** What is told about the client of a request that goes on. */
export function clientFacts(request: IncomingMessage): ForwardedFacts {
  const address = request.socket.remoteAddress ?? 'unknown';
  return {
    clientAddress: address.startsWith('::ffff:') ? address.slice(7) : address,
    host: request.headers.host ?? '',
  };
}
