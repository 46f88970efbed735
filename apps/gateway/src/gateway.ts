import { type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { createLog, type Log } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { type ActivityReport, type GatewayConfig, gatewayPaths, JsonClient } from '@skerry/protocol';
import { ActivityReporter } from './activity/activity-reporter.ts';
import { Authorizer } from './auth/authorizer.ts';
import { KeyStreams } from './auth/key-streams.ts';
import { ApiDoor } from './front/api-door.ts';
import { createFrontDoor } from './front/front-door.ts';
import { SandboxFinder } from './routes/find-sandbox.ts';
import { Drains } from './rest/drains.ts';
import { callTwice } from './routes/call-twice.ts';
import { type FeedListener, followRoutes } from './routes/route-feed.ts';
import { RouteTable } from './routes/route-table.ts';
import { createDataPlane } from './sandbox/data-plane.ts';
import { Upstreams } from './sandbox/upstreams.ts';

/** A gateway that serves. */
export interface Gateway extends AsyncDisposable {
  readonly port: number;
}

/** How long streams may go on after the end was asked for, in `ms`. */
const graceMs = 1000;

/** Starts a gateway. Throws `conflict` when its port is taken. */
export async function startGateway(
  config: GatewayConfig,
  log: Log = createLog('gateway', config.logLevel),
): Promise<Gateway> {
  const client = new JsonClient(config.gatewaySocket, 'the Skerry server');
  const reporter = new ActivityReporter(async (items) => {
    await callTwice(client, gatewayPaths.activity, { items } satisfies ActivityReport);
  }, log);
  const upstreams = new Upstreams(reporter);
  const table = new RouteTable({
    gone: (route) => upstreams.end(route.bootId),
    resting: (route) => void upstreams.hold(route),
  });
  const drains = new Drains(upstreams, client, log);
  const authorizer = new Authorizer(client);
  const keyStreams = new KeyStreams();
  const finder = new SandboxFinder(table, upstreams, client);
  const api = new ApiDoor(config.apiSocket, log);
  const parts = { config, log, finder, authorizer, upstreams, keyStreams, api };
  const server = createFrontDoor({ ...parts, dataPlane: createDataPlane(parts) });
  const ending = new AbortController();
  const listening = once(server, 'listening');
  server.listen(config.listenPort, config.listenHost);
  try {
    await listening;
  } catch (error) {
    client[Symbol.dispose]();
    throw listenProblem(config, error);
  }
  const listener: FeedListener = {
    begun: () => authorizer.forget(),
    synced: () => reporter.tellAll(),
    revoked: (keyHash) => {
      authorizer.revoke(keyHash);
      keyStreams.cut(keyHash);
    },
    drain: (event) => drains.begin(event),
  };
  const following = followRoutes(client, table, listener, log, ending.signal);
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => {
        // Upgraded connections are not the server's any more.
        upstreams.cutAll();
        server.closeAllConnections();
      }, graceMs);
      ending.abort();
      await following;
      await closed;
      clearTimeout(timer);
      reporter[Symbol.dispose]();
      api[Symbol.dispose]();
      client[Symbol.dispose]();
    },
  };
}

function listenProblem({ listenHost, listenPort }: GatewayConfig, cause: unknown): Problem {
  const code = (cause as NodeJS.ErrnoException).code;
  const where = `${listenHost}:${listenPort}`;
  if (code === 'EADDRINUSE')
    return new Problem('conflict', `Cannot listen on ${where}: another program uses this port`, {
      reason: 'port_in_use',
      hint: 'Choose another port with --listen.',
      cause,
    });
  return new Problem('unavailable', `Cannot listen on ${where}: ${code ?? String(cause)}`, {
    reason: 'cannot_listen',
    cause,
  });
}
