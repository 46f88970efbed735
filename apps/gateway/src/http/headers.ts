import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Problem } from '@skerry/model';

/** Headers that belong to one connection, not to the message. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);
/** Headers that say who the client is; only ours are believed. Applications read "_" as "-", so both spellings are meant. */
const clientFacts =
  /^(?:x[-_]forwarded[-_].*|x[-_]forwarded|forwarded|x[-_]real[-_]ip|x[-_]client[-_]ip|true[-_]client[-_]ip)$/;
/** Headers that decide something here: two of them would leave open which one counts. */
const single = new Set([
  'host',
  'authorization',
  'x-api-key',
  'x-access-token',
  'e2b-traffic-access-token',
  'e2b-sandbox-id',
  'e2b-sandbox-port',
  'content-length',
  'expect',
]);
/** Fields that must not come after the body. */
const neverTrailers =
  /^(?:content-.*|host|authorization|cookie|set-cookie|cache-control|expect|range|x-access-token|x-api-key|e2b-.*|max-forwards|age|date|location|vary|www-authenticate)$/;

/** Throws when a header that decides something came twice. */
export function refuseDoubles(rawHeaders: readonly string[]): void {
  let seen: Set<string> | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!single.has(name)) continue;
    seen ??= new Set();
    if (seen.has(name)) throw new Problem('invalid', `The header "${name}" came twice`, { reason: 'ambiguous_header' });
    seen.add(name);
  }
}

/** What a forwarded request carries besides the client's own headers. */
export interface ForwardedFacts {
  readonly clientAddress: string;
  readonly host: string;
}

/**
 * Headers of a request as they go on, flat (`name, value, …`): hop-by-hop ones and claims about the client removed, those that
 * `drop` names too, the facts added. `Transfer-Encoding: chunked` is kept, since it frames the body that follows.
 */
export function forwardRequestHeaders(
  request: IncomingMessage,
  facts: ForwardedFacts,
  drop: (name: string, value: string) => boolean,
): string[] {
  const nominated = nominatedBy(request.headers);
  const headers = copyHeaders(
    request.rawHeaders,
    (name, value) => clientFacts.test(name) || nominated.has(name) || drop(name, value),
  );
  if (hasChunkedBody(request)) {
    headers.push('Transfer-Encoding', 'chunked');
    if (request.headers.trailer !== undefined) headers.push('Trailer', request.headers.trailer);
  }
  if (
    String(request.headers['te'] ?? '')
      .toLowerCase()
      .includes('trailers')
  )
    headers.push('TE', 'trailers');
  headers.push('X-Forwarded-For', facts.clientAddress, 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', facts.host);
  return headers;
}

/** Headers of an answer as they go back to a client. `chunked` says whether the answer's body will be sent in chunks. */
export function forwardResponseHeaders(response: IncomingMessage, chunked: boolean): string[] {
  const nominated = nominatedBy(response.headers);
  const headers = copyHeaders(response.rawHeaders, (name) => nominated.has(name));
  if (chunked) {
    headers.push('Transfer-Encoding', 'chunked');
    if (response.headers.trailer !== undefined) headers.push('Trailer', response.headers.trailer);
  }
  return headers;
}

/** Trailers that may go on. */
export function forwardTrailers(rawTrailers: readonly string[]): [string, string][] {
  const trailers: [string, string][] = [];
  for (let index = 0; index < rawTrailers.length; index += 2) {
    const name = rawTrailers[index] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || neverTrailers.test(lower) || clientFacts.test(lower)) continue;
    trailers.push([name, rawTrailers[index + 1] ?? '']);
  }
  return trailers;
}

/** Whether the message's body comes in chunks. */
export function hasChunkedBody(message: IncomingMessage): boolean {
  return message.headers['transfer-encoding'] !== undefined;
}

/** Whether a request has a body. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return hasChunkedBody(request) || (length !== undefined && Number(length) > 0);
}

function copyHeaders(raw: readonly string[], drop: (name: string, value: string) => boolean): string[] {
  const headers: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1] ?? '';
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower) && !drop(lower, value)) headers.push(name, value);
  }
  return headers;
}

const nobody: ReadonlySet<string> = new Set();
/** Headers that frame or route the message: a `Connection` header cannot take them away. */
const unremovable = new Set([
  'host',
  'content-length',
  'content-type',
  'authorization',
  'close',
  'keep-alive',
  'upgrade',
]);

function nominatedBy(headers: IncomingHttpHeaders): ReadonlySet<string> {
  const { connection } = headers;
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return nobody;
  const names = connection.split(',').map((name) => name.trim().toLowerCase());
  return new Set(names.filter((name) => !unremovable.has(name)));
}
