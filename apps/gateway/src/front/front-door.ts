import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Log } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { GatewayConfig } from '@skerry/protocol';
import { answerJson, answerProblem } from '../http/answers.ts';
import { refuseDoubles } from '../http/headers.ts';
import { passToSandbox, type SandboxDoorParts } from '../sandbox/sandbox-door.ts';
import { mayUpgrade, responseOn, upgradeToSandbox } from '../sandbox/upgrade.ts';
import type { ApiDoor } from './api-door.ts';
import { serverAnswers } from './health.ts';
import { parseRequestPath, type RequestPath } from './request-path.ts';
import { answerUnparsed } from './unparsed.ts';
import { chooseTarget, type Target } from './target.ts';

/** Answers what the gateway serves itself below `/v1`; `false` when the request is not for it. */
export type DataPlane = (request: IncomingMessage, response: ServerResponse, path: RequestPath) => boolean;

export interface FrontDoorParts extends SandboxDoorParts {
  readonly config: GatewayConfig;
  readonly api: ApiDoor;
  readonly dataPlane: DataPlane;
  readonly log: Log;
}

/** How long a client may take to send a request's head, in `ms`. */
const headTimeoutMs = 15_000;
/** Most that a request's head may hold, in `bytes`. */
const maxHeadBytes = 32 * 1024;

/** Makes the listening server (not yet listening): API, sandbox ports, exec and files behind one port. */
export function createFrontDoor(parts: FrontDoorParts): Server {
  const { config, log } = parts;
  const targetOf = (request: IncomingMessage): Target => {
    refuseDoubles(request.rawHeaders);
    const { headers } = request;
    return chooseTarget(headers.host, one(headers['e2b-sandbox-id']), one(headers['e2b-sandbox-port']), config.domain);
  };

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    try {
      const target = targetOf(request);
      if (target.kind === 'sandbox') {
        passToSandbox(parts, target, request, response);
        return;
      }
      const path = parseRequestPath(request.url ?? '');
      if (path.segments.length === 1 && path.segments[0] === 'health')
        answerHealth(request, response, config.apiSocket);
      else if (!parts.dataPlane(request, response, path)) parts.api.pass(request, response);
    } catch (error) {
      answerProblem(request, response, error, log);
    }
  };

  const server = createServer(
    {
      maxHeaderSize: maxHeadBytes,
      headersTimeout: headTimeoutMs,
      // Bodies and answers may take as long as they like.
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5000,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      requireHostHeader: true,
      insecureHTTPParser: false,
      shouldUpgradeCallback: (request) => {
        try {
          const target = targetOf(request);
          return mayUpgrade(request, target.kind === 'sandbox' ? target : undefined);
        } catch {
          // Judged again, and answered, as an ordinary request.
          return false;
        }
      },
    },
    serve,
  );
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // A client that is not told to go on may send its body or leave it out: the connection cannot be used after that.
    response.shouldKeepAlive = false;
    serve(request, response);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const target = targetOf(request);
    if (target.kind === 'api') return void socket.destroy();
    upgradeToSandbox(parts, target, request, socket, head).catch((error: unknown) => {
      answerProblem(request, responseOn(request, socket), error, log);
    });
  });
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    const refusal = new Problem('unsupported', 'This is no forward proxy', { reason: 'no_connect' });
    answerProblem(request, responseOn(request, socket), refusal, log);
  });
  server.on('clientError', answerUnparsed);
  return server;
}

function answerHealth(request: IncomingMessage, response: ServerResponse, apiSocket: string): void {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new Problem('invalid', 'Only GET is allowed here', { reason: 'method_not_allowed' });
  void serverAnswers(apiSocket).then((ok) =>
    answerJson(request, response, 200, { gateway: 'ok', server: ok ? 'ok' : 'unavailable' }),
  );
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
