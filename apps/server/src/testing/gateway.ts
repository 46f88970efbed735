/** A gateway of a test: follows the routes, answers drains, and reports what it is told to. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootId, SandboxId } from '@skerry/model';
import {
  gatewayPaths,
  JsonClient,
  type ResolveAnswer,
  type Route,
  type RouteEvent,
  type SandboxTraffic,
} from '@skerry/protocol';

/** A server that a gateway can follow. */
interface Followed {
  readonly settings: { readonly gatewaySocket: string };
}

export class TestGateway implements AsyncDisposable {
  readonly routes = new Map<SandboxId, Route>();
  /** Every drain that was asked for. */
  readonly drains: Extract<RouteEvent, { type: 'drain' }>[] = [];
  /** What the next drains are answered; `undefined`: nothing. A function may do something first. */
  answer: 'drained' | 'busy' | undefined | (() => Promise<'drained' | 'busy'>) = 'drained';
  readonly #client: JsonClient;
  readonly #end = new AbortController();
  #following: Promise<void> = Promise.resolve();

  private constructor(instance: Followed) {
    this.#client = new JsonClient(instance.settings.gatewaySocket, 'the server');
  }

  /** Follows a server that answers. Throws when it does not. */
  static async connect(instance: Followed): Promise<TestGateway> {
    const gateway = new TestGateway(instance);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A server that goes down later ends it.
    gateway.#following = gateway.#follow(resolve).catch(reject);
    await promise;
    return gateway;
  }

  async #follow(synced: () => void): Promise<void> {
    const [method = '', path = ''] = gatewayPaths.routes.split(' ');
    for await (const line of this.#client.lines(method, path, { signal: this.#end.signal })) {
      const event = line as RouteEvent;
      if (event.type === 'route') this.routes.set(event.route.sandboxId, event.route);
      else if (event.type === 'gone') this.routes.delete(event.sandboxId);
      else if (event.type === 'synced') synced();
      else if (event.type === 'drain') void this.#drain(event);
    }
  }

  async #drain(event: Extract<RouteEvent, { type: 'drain' }>): Promise<void> {
    this.drains.push(event);
    const result = typeof this.answer === 'function' ? await this.answer() : this.answer;
    if (result === undefined) return;
    // A server that goes down meanwhile needs no answer.
    await this.#call(gatewayPaths.drained, { sandboxId: event.sandboxId, bootId: event.bootId, result }).catch(
      () => undefined,
    );
  }

  /** Says what came through the door. */
  async report(sandboxId: string, traffic: Partial<SandboxTraffic>): Promise<void> {
    let bootId: BootId | undefined;
    while ((bootId = this.routes.get(sandboxId as SandboxId)?.bootId) === undefined) await sleep(5);
    const item = { sandboxId, bootId, requests: 0, openRequests: 0, attached: 0, ...traffic };
    await this.#call(gatewayPaths.activity, { items: [item] });
  }

  /** Asks where a sandbox is, as for a request that has come. */
  async resolve(sandbox: string, by: 'request' | 'api' = 'request', waitMs = 10_000): Promise<Route> {
    return ((await this.#call(gatewayPaths.resolve, { sandbox, waitMs, by })) as ResolveAnswer).route;
  }

  async #call(call: string, body: unknown): Promise<unknown> {
    const [method = '', path = ''] = call.split(' ');
    return this.#client.call(method, path, { body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#following;
    this.#client[Symbol.dispose]();
  }
}
