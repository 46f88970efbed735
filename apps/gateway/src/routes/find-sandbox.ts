import { isId, Problem, type ProjectId } from '@skerry/model';
import { gatewayPaths, type JsonClient, type ResolveAnswer, type Route } from '@skerry/protocol';
import { callTwice } from './call-twice.ts';
import type { RouteTable } from './route-table.ts';

/** How long a request waits for a sandbox on its way up, in `ms`. */
export const patienceMs = 60_000;

/** Finds running sandboxes: in the table, else by asking the server, which waits for one on its way up. */
export class SandboxFinder {
  readonly #table: RouteTable;
  readonly #client: JsonClient;

  constructor(table: RouteTable, client: JsonClient) {
    this.#table = table;
    this.#client = client;
  }

  /** The route of a running sandbox that is known already. */
  known(sandbox: string, projectId?: ProjectId): Route | undefined {
    const route = isId('sandbox', sandbox)
      ? this.#table.get(sandbox)
      : projectId === undefined
        ? undefined
        : this.#table.getByName(projectId, sandbox);
    return route?.status === 'running' ? route : undefined;
  }

  /** Waits for a sandbox by id, or by name in a project. Throws the server's problem; somebody else's sandbox is `not_found`. */
  async find(sandbox: string, projectId: ProjectId | undefined, signal: AbortSignal): Promise<Route> {
    const known = this.known(sandbox, projectId);
    if (known !== undefined) return checkProject(known, sandbox, projectId);
    if (projectId === undefined && !isId('sandbox', sandbox)) throw unknownSandbox(sandbox);
    for (let attempt = 0; ; attempt++) {
      const { revision } = this.#table;
      const request = { sandbox, waitMs: patienceMs, ...(projectId === undefined ? {} : { projectId }) };
      const { route } = (await callTwice(this.#client, gatewayPaths.resolve, request, signal)) as ResolveAnswer;
      // The answer and a later "gone" come on two connections, in any order.
      if (!this.#table.wentSince(route.sandboxId, revision) || attempt > 0)
        return checkProject(route, sandbox, projectId);
    }
  }
}

function checkProject(route: Route, sandbox: string, projectId: ProjectId | undefined): Route {
  if (projectId !== undefined && route.projectId !== projectId) throw unknownSandbox(sandbox);
  return route;
}

/** Also the answer for a sandbox of another project. */
export function unknownSandbox(sandbox: string): Problem {
  return new Problem('not_found', `There is no sandbox "${sandbox}"`, {
    reason: 'sandbox_not_found',
    hint: 'See "skerry ls".',
  });
}
