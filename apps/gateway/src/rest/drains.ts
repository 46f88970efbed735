import { errorFields, type Log } from '@skerry/kit';
import { type DrainAnswer, gatewayPaths, type JsonClient, type RouteEvent } from '@skerry/protocol';
import { callTwice } from '../routes/call-twice.ts';
import type { Upstream } from '../sandbox/upstream.ts';
import type { Upstreams } from '../sandbox/upstreams.ts';

export type DrainEvent = Extract<RouteEvent, { type: 'drain' }>;

/** Time for streams to end in order, before they are ended by force, in `ms`. */
const mostDrainMs = 4000;
/** Time for a probe that is under way, in `ms`. */
const mostProbeMs = 500;

/** Empties boots that the server wants to rest, and tells it. Nothing is sent to one that was emptied until the server was asked again. */
export class Drains {
  readonly #upstreams: Upstreams;
  readonly #client: JsonClient;
  readonly #log: Log;

  constructor(upstreams: Upstreams, client: JsonClient, log: Log) {
    this.#upstreams = upstreams;
    this.#client = client;
    this.#log = log;
  }

  /** Holds new requests before it returns, so that events are taken in their order. */
  begin(event: DrainEvent): void {
    const { sandboxId, bootId, force } = event;
    if (!force && this.#upstreams.to(event).busy) {
      void this.#answer({ sandboxId, bootId, result: 'busy' });
      return;
    }
    const emptied = Promise.withResolvers<void>();
    const upstream = this.#upstreams.hold(event, emptied.promise);
    void this.#empty(upstream, force).then(async () => {
      emptied.resolve();
      await this.#answer({ sandboxId, bootId, result: 'drained' });
    });
  }

  async #empty(upstream: Upstream, force: boolean): Promise<void> {
    if (force) upstream.end('rest');
    const timer = setTimeout(() => upstream.cut(), force ? mostDrainMs : mostProbeMs);
    await upstream.idle();
    clearTimeout(timer);
    // Kept connections would be part of a memory image, and dead after it.
    upstream.agent.destroy();
  }

  async #answer(answer: DrainAnswer): Promise<void> {
    try {
      await callTwice(this.#client, gatewayPaths.drained, answer);
    } catch (error) {
      // The server gives the rest up then; requests ask it before they are sent.
      this.#log.warn('The server did not take the answer to a drain', { ...answer, ...errorFields(error) });
    }
  }
}
