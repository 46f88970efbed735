import { type ClientRequest, type IncomingMessage, request as openRequest, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Problem } from '@skerry/model';
import { guestPort } from '@skerry/protocol';
import { readCredentials } from '../auth/credentials.ts';
import type { SandboxTarget } from '../front/target.ts';
import { forwardResponseHeaders, hasBody } from '../http/headers.ts';
import type { RelayFailure } from '../http/relay.ts';
import { whenGone } from '../http/when-gone.ts';
import { type Admission, admit } from './admit.ts';
import { answerUnreachable } from './bad-gateway.ts';
import {
  answerRefusal,
  checkSandboxPath,
  describeFailure,
  headersForSandbox,
  type SandboxDoorParts,
} from './sandbox-door.ts';
import { tunnel } from './tunnel.ts';
import type { Visitor } from './visit.ts';

const connectTimeoutMs = 10_000;
/** What a client is told whose upgrade was not answered when the boot ended. */
const failureKinds: Readonly<Record<string, RelayFailure['kind']>> = { rest: 'rest', gone: 'cut' };

/** Whether a request's upgrade is passed on. h2c would carry requests that no rule here has seen; the guest has no upgrades. */
export function mayUpgrade(request: IncomingMessage, target: SandboxTarget | undefined): boolean {
  if (target === undefined || target.port === guestPort || hasBody(request) || request.method !== 'GET') return false;
  const names = (request.headers.upgrade ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  return !names.some(
    (name) => name === '' || name.startsWith('h2c') || name.startsWith('http/') || name.startsWith('tls/'),
  );
}

/** Passes an upgrade to a port of a sandbox, and splices the two connections once the sandbox has said 101. */
export async function upgradeToSandbox(
  parts: SandboxDoorParts,
  target: SandboxTarget,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const response = responseOn(request, socket);
  let admission: Admission;
  try {
    checkSandboxPath(request.url ?? '', target.port);
    const credentials = readCredentials(request.headers);
    admission = await admit(parts, target, 'request', credentials, whenGone(response));
  } catch (error) {
    answerRefusal(request, response, target, error, parts.log);
    return;
  }
  const { route, caller, visit } = admission;
  if (socket.destroyed) {
    visit.finish();
    return;
  }
  const headers = headersForSandbox(target, admission, request);
  headers.push('Connection', 'Upgrade', 'Upgrade', request.headers.upgrade ?? '');
  const outgoing = openRequest({
    agent: false,
    host: route.address,
    port: target.port,
    method: 'GET',
    path: request.url ?? '/',
    headers,
    setHost: false,
  });
  let ended = false;
  let tunnelled: Visitor | undefined;
  const visitor: Visitor = {
    cut() {
      outgoing.destroy();
      if (tunnelled === undefined) socket.destroy();
      else tunnelled.cut();
    },
    end(why) {
      if (tunnelled === undefined) outgoing.destroy(new Problem('unavailable', 'The boot ends', { reason: why }));
      else tunnelled.end(why);
    },
  };
  const leave = visit.add(visitor);
  visit.finish();
  const forgetKey = caller === undefined ? undefined : parts.keyStreams.add(caller.keyHash, visitor.cut);
  socket.once('close', () => {
    outgoing.destroy();
    leave();
    forgetKey?.();
  });
  socket.on('error', () => socket.destroy());
  const connected = connectDeadline(outgoing);
  outgoing.once('error', (cause) => {
    if (ended) return;
    ended = true;
    const sent = connected();
    const kind =
      cause instanceof Problem
        ? (failureKinds[cause.reason] ?? 'timeout')
        : sent
          ? ('lost' as const)
          : ('refused' as const);
    leave();
    answerUnreachable(request, response, describeFailure({ kind, cause, sent }, target));
  });
  outgoing.once('response', (incoming) => {
    ended = true;
    response.writeHead(
      incoming.statusCode ?? 502,
      incoming.statusMessage ?? '',
      forwardResponseHeaders(incoming, false),
    );
    incoming.on('error', () => socket.destroy());
    incoming.pipe(response);
  });
  outgoing.once('upgrade', (incoming, upstreamSocket, upstreamHead) => {
    ended = true;
    response.detachSocket(socket as Parameters<typeof response.detachSocket>[0]);
    socket.write(switchingHead(incoming));
    const webSocket = request.headers.upgrade?.trim().toLowerCase() === 'websocket';
    tunnelled = tunnel(visit, socket, upstreamSocket, webSocket, { client: head, sandbox: upstreamHead });
    upstreamSocket.once('close', leave);
    if (visit.ending !== undefined) tunnelled.end(visit.ending);
  });
  outgoing.end();
}

/** A response on a connection that the HTTP parser has let go of; the connection ends with it. */
export function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Parameters<typeof response.assignSocket>[0]);
  response.once('finish', () => socket.end());
  return response;
}

function connectDeadline(outgoing: ClientRequest): () => boolean {
  let connected = false;
  const timer = setTimeout(() => outgoing.destroy(new Problem('deadline', 'No connection in time')), connectTimeoutMs);
  outgoing.once('socket', (socket) =>
    socket.once('connect', () => {
      connected = true;
      clearTimeout(timer);
    }),
  );
  outgoing.once('close', () => clearTimeout(timer));
  return () => connected;
}

function switchingHead(incoming: IncomingMessage): string {
  const headers = forwardResponseHeaders(incoming, false);
  const lines = [
    `HTTP/1.1 101 ${incoming.statusMessage ?? 'Switching Protocols'}`,
    'Connection: Upgrade',
    `Upgrade: ${incoming.headers.upgrade ?? ''}`,
  ];
  for (let index = 0; index < headers.length; index += 2)
    lines.push(`${headers[index] ?? ''}: ${headers[index + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
