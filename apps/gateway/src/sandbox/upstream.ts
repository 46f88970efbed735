import type { Agent } from 'node:http';
import type { BootId, SandboxId } from '@skerry/model';
import type { SandboxTraffic } from '@skerry/protocol';
import { PatientAgent } from '../http/patient-agent.ts';
import { type EndReason, Visit, type VisitKind } from './visit.ts';

/** Who is told that a boot's traffic has changed. */
export interface TrafficListener {
  changed(upstream: Upstream): void;
  /** The first visit has begun, or the last has ended. */
  opened(upstream: Upstream, open: boolean): void;
}

/** Kept shorter than servers usually keep idle connections, so that a request seldom meets one that is being closed. */
const idleMs = 4000;

/** One boot of a sandbox as the gateway sees it: connections to it, what is under way, and whether it may be sent anything. */
export class Upstream {
  readonly sandboxId: SandboxId;
  readonly bootId: BootId;
  readonly agent: Agent = new PatientAgent({ keepAlive: true, maxFreeSockets: 64, timeout: idleMs });
  readonly visits = new Set<Visit>();
  readonly #listener: TrafficListener;
  #gone = false;
  #heldAt = 0;
  #draining: Promise<void> | undefined;
  #idle: PromiseWithResolvers<void> | undefined;
  #requests = 0;
  #open = 0;
  #attached = 0;
  #lastRequestAtMs: number | undefined;
  #lastBytesAtMs: number | undefined;

  constructor(sandboxId: SandboxId, bootId: BootId, listener: TrafficListener) {
    this.sandboxId = sandboxId;
    this.bootId = bootId;
    this.#listener = listener;
  }

  /** Begins a visit; `undefined` when nothing may be sent before the sandbox was resolved anew. */
  enter(kind: VisitKind): Visit | undefined {
    if (this.#heldAt > 0 || this.#gone) return undefined;
    const visit = new Visit(this, kind);
    this.visits.add(visit);
    if (this.visits.size === 1) this.#listener.opened(this, true);
    if (kind === 'probe') return visit;
    this.#open += 1;
    if (kind === 'attached') this.#attached += 1;
    this.#requests += 1;
    this.#lastRequestAtMs = Date.now();
    this.#listener.changed(this);
    return visit;
  }

  /** Called by a visit that has ended. */
  leave(visit: Visit): void {
    if (!this.visits.delete(visit)) return;
    if (visit.kind !== 'probe') {
      this.#open -= 1;
      if (visit.kind === 'attached') this.#attached -= 1;
      if (visit.mayHaveMoved()) this.#lastBytesAtMs = Date.now();
      this.#listener.changed(this);
    }
    if (this.visits.size > 0) return;
    this.#listener.opened(this, false);
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  /** Whether work is under way. */
  get busy(): boolean {
    return this.#open > 0;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.visits.size === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  /** From `revision` on nothing new is sent; while `draining` is not settled it is not worth asking the server. */
  hold(revision: number, draining?: Promise<void>): void {
    this.#heldAt = revision;
    if (draining === undefined) return;
    this.#draining = draining;
    void draining.finally(() => {
      if (this.#draining === draining) this.#draining = undefined;
    });
  }

  get held(): boolean {
    return this.#heldAt > 0;
  }

  get draining(): Promise<void> | undefined {
    return this.#draining;
  }

  /** The server said, when asked at `revision`, that the boot may be used. `false` when it was held again since. */
  lift(revision: number): boolean {
    if (this.#gone || this.#heldAt > revision) return false;
    this.#heldAt = 0;
    return true;
  }

  /** Asks every visit to end in order. */
  end(why: EndReason): void {
    if (why === 'gone') this.#gone = true;
    for (const visit of [...this.visits]) visit.end(why);
  }

  cut(): void {
    for (const visit of [...this.visits]) visit.cut();
  }

  /** Whether bytes of work have moved since the last call; remembers when. */
  sample(nowMs: number): boolean {
    let moved = false;
    for (const visit of this.visits) if (visit.kind !== 'probe' && visit.hasMoved()) moved = true;
    if (moved) this.#lastBytesAtMs = nowMs;
    return moved;
  }

  /** What came since the last call. */
  takeTraffic(): SandboxTraffic {
    const requests = this.#requests;
    this.#requests = 0;
    return {
      sandboxId: this.sandboxId,
      bootId: this.bootId,
      requests,
      ...(this.#lastRequestAtMs === undefined ? {} : { lastRequestAtMs: this.#lastRequestAtMs }),
      openRequests: this.#open,
      attached: this.#attached,
      ...(this.#lastBytesAtMs === undefined ? {} : { lastBytesAtMs: this.#lastBytesAtMs }),
    };
  }

  /** The report of this traffic was not taken: its requests go into the next one. */
  putBack(traffic: SandboxTraffic): void {
    this.#requests += traffic.requests;
  }
}
