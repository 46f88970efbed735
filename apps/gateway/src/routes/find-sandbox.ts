import { setTimeout as sleep } from 'node:timers/promises';
import { isId, Problem, type ProjectId } from '@skerry/model';
import type { JsonClient, ResolveRequest, Route } from '@skerry/protocol';
import type { Upstreams } from '../sandbox/upstreams.ts';
import type { RouteTable } from './route-table.ts';
import { SharedResolve } from './shared-resolve.ts';

/** How long a request waits for a sandbox on its way up, in `ms`. */
export const patienceMs = 60_000;
/** Time that the server gets for its answer on top of it, in `ms`. */
const slackMs = 5000;
/** Pause before the server is asked again about a sandbox that was put to rest again meanwhile, in `ms`. */
const againMs = 50;

/** What kind of call looks for a sandbox: a request to a port or the guest, or one of `/v1`. */
export type AskedBy = ResolveRequest['by'];

/** Finds running sandboxes: in the table, else by asking the server, which wakes one that rests and waits for one on its way up. */
export class SandboxFinder {
  readonly #table: RouteTable;
  readonly #upstreams: Upstreams;
  readonly #resolve: SharedResolve;

  constructor(table: RouteTable, upstreams: Upstreams, client: JsonClient) {
    this.#table = table;
    this.#upstreams = upstreams;
    this.#resolve = new SharedResolve(client);
  }

  /** The route of a running sandbox that is known already; it may rest in RAM. */
  known(sandbox: string, projectId?: ProjectId): Route | undefined {
    const route = isId('sandbox', sandbox)
      ? this.#table.get(sandbox)
      : projectId === undefined
        ? undefined
        : this.#table.getByName(projectId, sandbox);
    return route?.status === 'running' ? route : undefined;
  }

  /** As `known`, for a sandbox that has just been started: its route may still be on its way here. */
  async soon(sandbox: string, waitMs: number): Promise<Route | undefined> {
    const route = this.known(sandbox);
    if (route !== undefined || !isId('sandbox', sandbox) || this.#table.wentSince(sandbox, 0)) return route;
    await this.#table.appears(sandbox, waitMs);
    return this.known(sandbox);
  }

  /**
   * Waits for a sandbox by id, or by name in a project, until it may be sent something. Throws the server's problem; somebody else's sandbox is
   * `not_found`. Where nothing else happens in between, `enter` of its upstream succeeds.
   */
  async find(sandbox: string, projectId: ProjectId | undefined, by: AskedBy, signal: AbortSignal): Promise<Route> {
    const usable = this.#usable(sandbox, projectId);
    if (usable !== undefined) return usable;
    const startedAt = performance.now();
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(patienceMs + slackMs)]);
    for (let attempt = 0; ; attempt++) {
      const known = this.known(sandbox, projectId);
      if (known !== undefined) {
        checkProject(known, sandbox, projectId);
        const upstream = this.#upstreams.to(known);
        if (!upstream.held) return known;
        // Whoever comes while streams are being ended waits for that: the server could not say anything yet.
        if (upstream.draining !== undefined) await settled(upstream.draining, bounded);
      } else if (projectId === undefined && !isId('sandbox', sandbox)) throw unknownSandbox(sandbox);
      const waitMs = Math.round(patienceMs - (performance.now() - startedAt));
      if (waitMs <= 0) throw notInTime(sandbox);
      const { revision: routesAt } = this.#table;
      const { revision: holdsAt } = this.#upstreams;
      const request = {
        sandbox: known?.sandboxId ?? sandbox,
        waitMs,
        by,
        ...(projectId === undefined ? {} : { projectId }),
      };
      const route = await this.#resolve.ask(request, holdsAt + routesAt, bounded);
      checkProject(route, sandbox, projectId);
      // The answer and what the feed says come on two connections, in any order.
      if (this.#table.wentSince(route.sandboxId, routesAt) && attempt === 0) continue;
      if (!route.resting && this.#upstreams.to(route).lift(holdsAt)) return route;
      await sleep(againMs, undefined, { signal: bounded });
    }
  }

  #usable(sandbox: string, projectId: ProjectId | undefined): Route | undefined {
    const known = this.known(sandbox, projectId);
    if (known === undefined || this.#upstreams.to(known).held) return undefined;
    checkProject(known, sandbox, projectId);
    return known;
  }
}

async function settled(draining: Promise<void>, signal: AbortSignal): Promise<void> {
  const left = Promise.withResolvers<never>();
  const leave = (): void => left.reject(Problem.from(signal.reason));
  signal.throwIfAborted();
  signal.addEventListener('abort', leave, { once: true });
  await Promise.race([draining, left.promise]).finally(() => signal.removeEventListener('abort', leave));
}

function notInTime(sandbox: string): Problem {
  return new Problem('deadline', `Sandbox "${sandbox}" did not wake in time`, {
    reason: 'sandbox_not_ready',
    hint: 'Try again.',
  });
}

function checkProject(route: Route, sandbox: string, projectId: ProjectId | undefined): void {
  if (projectId !== undefined && route.projectId !== projectId) throw unknownSandbox(sandbox);
}

/** Also the answer for a sandbox of another project. */
export function unknownSandbox(sandbox: string): Problem {
  return new Problem('not_found', `There is no sandbox "${sandbox}"`, {
    reason: 'sandbox_not_found',
    hint: 'See "skerry ls".',
  });
}
