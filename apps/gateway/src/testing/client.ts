import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import {
  decodeFrames,
  type EndStreamMessage,
  encodeFrame,
  endStreamFlag,
  guestPort,
  processPaths,
  type Route,
} from '@skerry/protocol';
import type { Bench } from './bench.ts';

/** A request to a port of a sandbox, on a connection of its own. */
export function to(
  bench: Bench,
  route: Route,
  port: number,
  path = '/',
  options: { method?: string; headers?: Record<string, string> } = {},
): ClientRequest {
  const outgoing = request({
    port: bench.gateway.port,
    path,
    agent: false,
    method: options.method ?? 'GET',
    headers: { ...options.headers, 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': String(port) },
  });
  outgoing.on('error', () => undefined);
  return outgoing;
}

export async function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  return incoming;
}

export async function textOf(incoming: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  return text;
}

/** Status and body of one request. */
export async function ask(bench: Bench, route: Route, port: number, path = '/'): Promise<[number | undefined, string]> {
  const incoming = await answerOf(to(bench, route, port, path).end());
  return [incoming.statusCode, await textOf(incoming)];
}

/** Opens a stream of the process service, as E2B's clients do. */
export async function startStream(
  bench: Bench,
  route: Route,
  path: string = processPaths.start,
): Promise<IncomingMessage> {
  const headers = { 'content-type': 'application/connect+json', 'x-access-token': route.accessToken };
  const outgoing = to(bench, route, guestPort, path, { method: 'POST', headers });
  outgoing.end(encodeFrame({ process: { cmd: 'sleep' } }));
  return await answerOf(outgoing);
}

/** Reads a stream to its end. Throws when it is broken off. */
export async function readStream(
  incoming: IncomingMessage,
): Promise<{ messages: unknown[]; end: EndStreamMessage | undefined }> {
  const messages: unknown[] = [];
  let end: EndStreamMessage | undefined;
  for await (const frame of decodeFrames(incoming as AsyncIterable<Buffer>))
    if ((frame.flags & endStreamFlag) !== 0) end = frame.message as EndStreamMessage;
    else messages.push(frame.message);
  return { messages, end };
}
