import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { join } from 'node:path';
import { newId, Problem, type ProjectId } from '@skerry/model';
import {
  type ActivityReport,
  type AuthorizeAnswer,
  type AuthorizeRequest,
  createJsonServer,
  type DrainAnswer,
  type ResolveRequest,
  type Route,
  type RouteEvent,
  type SandboxTraffic,
} from '@skerry/protocol';

/** A server as the gateway sees it: its two sockets, with routes, keys and answers that a test sets. */
export class FakeServer {
  readonly apiSocket: string;
  readonly gatewaySocket: string;
  readonly keys = new Map<string, AuthorizeAnswer>();
  readonly routes = new Map<string, Route>();
  /** Number of calls of each kind. */
  readonly calls = { authorize: 0, resolve: 0 };
  /** What was reported, newest last, and when each report came. */
  readonly traffic: SandboxTraffic[] = [];
  readonly reportedAtMs: number[] = [];
  readonly drained: DrainAnswer[] = [];
  /** Every `resolve` that was asked. */
  readonly asked: ResolveRequest[] = [];
  api: RequestListener = (_request, response) => response.end('{}');
  resolve: (request: ResolveRequest, signal: AbortSignal) => Promise<Route> = async ({ sandbox, projectId }) => {
    for (const route of this.routes.values())
      if (route.sandboxId === sandbox || (route.name === sandbox && route.projectId === projectId)) return route;
    throw new Problem('not_found', `There is no sandbox "${sandbox}"`, { reason: 'sandbox_not_found' });
  };
  readonly #feeds = new Set<(event: RouteEvent) => void>();
  #servers: Server[] = [];

  constructor(directory: string) {
    this.apiSocket = join(directory, 'api.sock');
    this.gatewaySocket = join(directory, 'gateway.sock');
  }

  async start(): Promise<void> {
    const api = createServer((request, response) => this.api(request, response));
    const gateway = createJsonServer(
      {
        'GET /v1/routes': async ({ signal }) => this.#feed(signal),
        'POST /v1/authorize': async ({ body }) => {
          this.calls.authorize += 1;
          const answer = this.keys.get((body as AuthorizeRequest).key);
          if (answer === undefined)
            throw new Problem('unauthenticated', 'The API key is not valid', { reason: 'invalid_key' });
          return answer;
        },
        'POST /v1/resolve': async ({ body, signal }) => {
          this.calls.resolve += 1;
          this.asked.push(body as ResolveRequest);
          return { route: await this.resolve(body as ResolveRequest, signal) };
        },
        'POST /v1/activity': async ({ body }) => {
          this.traffic.push(...(body as ActivityReport).items);
          this.reportedAtMs.push(performance.now());
          return {};
        },
        'POST /v1/drained': async ({ body }) => {
          this.drained.push(body as DrainAnswer);
          return {};
        },
      },
      () => undefined,
    );
    for (const [server, path] of [
      [api, this.apiSocket],
      [gateway, this.gatewaySocket],
    ] as const) {
      server.listen(path);
      await once(server, 'listening');
      this.#servers.push(server);
    }
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
    this.#servers = [];
  }

  addKey(key: string, answer: Partial<AuthorizeAnswer> & { readonly projectId: ProjectId }): void {
    this.keys.set(key, { role: 'member', ttlMs: 60_000, ...answer });
  }

  /** Makes a running sandbox at an address and tells the gateway. */
  addRoute(address: string, fields: Partial<Route> = {}): Route {
    const route: Route = {
      sandboxId: newId('sandbox'),
      projectId: newId('project'),
      name: `box-${this.routes.size}`,
      bootId: newId('boot'),
      status: 'running',
      address,
      generation: 1,
      accessToken: `token_${newId('key')}`,
      portAccess: 'private',
      resting: false,
      ...fields,
    };
    this.routes.set(route.sandboxId, route);
    this.#send({ type: 'route', route });
    return route;
  }

  /** Replaces a sandbox's route, as by a new boot or by a rest in RAM, and tells the gateway. */
  setRoute(route: Route, fields: Partial<Route>): Route {
    const changed: Route = { ...route, ...fields };
    this.routes.set(changed.sandboxId, changed);
    this.#send({ type: 'route', route: changed });
    return changed;
  }

  drain({ sandboxId, bootId }: Route, force = false): void {
    this.#send({ type: 'drain', sandboxId, bootId, force });
  }

  removeRoute(route: Route): void {
    this.routes.delete(route.sandboxId);
    this.#send({ type: 'gone', sandboxId: route.sandboxId });
  }

  revoke(key: string): void {
    this.keys.delete(key);
    this.#send({ type: 'revoked', keyHash: createHash('sha256').update(key).digest('hex') });
  }

  get feedCount(): number {
    return this.#feeds.size;
  }

  #send(event: RouteEvent): void {
    for (const feed of this.#feeds) feed(event);
  }

  async *#feed(signal: AbortSignal): AsyncGenerator<RouteEvent> {
    const queue: RouteEvent[] = [...this.routes.values()].map((route) => ({ type: 'route', route }));
    queue.push({ type: 'synced' });
    let wake = Promise.withResolvers<void>();
    const push = (event: RouteEvent): void => {
      queue.push(event);
      wake.resolve();
    };
    this.#feeds.add(push);
    signal.addEventListener('abort', () => wake.resolve());
    try {
      while (!signal.aborted) {
        const event = queue.shift();
        if (event !== undefined) yield event;
        else {
          await wake.promise;
          wake = Promise.withResolvers();
        }
      }
    } finally {
      this.#feeds.delete(push);
    }
  }
}
