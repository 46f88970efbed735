import { Agent } from 'node:http';
import type { BootId } from '@skerry/model';
import type { Route } from '@skerry/protocol';
import { CutList } from '../http/cut-list.ts';

/** Connections to one boot of a sandbox: kept ones, and what must be cut when the boot ends. */
export interface Upstream {
  readonly agent: Agent;
  readonly cuts: CutList;
}

/** Kept shorter than servers usually keep idle connections, so that a request seldom meets one that is being closed. */
const idleMs = 4000;

/** The connections to sandboxes. Keyed by boot: an address that is given to another sandbox never meets an old connection. */
export class Upstreams {
  readonly #byBoot = new Map<BootId, Upstream>();

  to(route: Route): Upstream {
    const known = this.#byBoot.get(route.bootId);
    if (known !== undefined) return known;
    const made: Upstream = {
      agent: new Agent({ keepAlive: true, maxFreeSockets: 64, timeout: idleMs }),
      cuts: new CutList(),
    };
    this.#byBoot.set(route.bootId, made);
    return made;
  }

  /** Ends everything that goes to this boot, at once. */
  cut(bootId: BootId): void {
    const upstream = this.#byBoot.get(bootId);
    if (upstream === undefined) return;
    this.#byBoot.delete(bootId);
    upstream.cuts.cut();
    upstream.agent.destroy();
  }
}
