import { errorFields, type Log } from '@skerry/kit';
import type { SandboxTraffic } from '@skerry/protocol';
import type { TrafficListener, Upstream } from '../sandbox/upstream.ts';

/** Shortest time between two reports, and between two looks at open streams, in `ms`. */
const intervalMs = 1000;
/** Time after a report that was not taken, in `ms`. */
const retryMs = 5000;

/**
 * Tells the server what came through the door: at most once a second, and only what has changed. Streams cost nothing while they move: once a second
 * their byte counters are compared with what they were.
 */
export class ActivityReporter implements TrafficListener, Disposable {
  readonly #send: (items: readonly SandboxTraffic[]) => Promise<void>;
  readonly #log: Log;
  readonly #changed = new Set<Upstream>();
  readonly #open = new Set<Upstream>();
  #timer: NodeJS.Timeout | undefined;
  #notBeforeMs = 0;
  #failing = false;
  #reporting = false;
  #ended = false;

  constructor(send: (items: readonly SandboxTraffic[]) => Promise<void>, log: Log) {
    this.#send = send;
    this.#log = log;
  }

  changed(upstream: Upstream): void {
    this.#changed.add(upstream);
    if (this.#timer === undefined) this.#schedule();
  }

  opened(upstream: Upstream, open: boolean): void {
    if (open) this.#open.add(upstream);
    else this.#open.delete(upstream);
    if (this.#timer === undefined) this.#schedule();
  }

  /** The server may have forgotten what it was told: all that is open is told again. */
  tellAll(): void {
    for (const upstream of this.#open) this.#changed.add(upstream);
    this.#notBeforeMs = 0;
    if (this.#reporting) return;
    clearTimeout(this.#timer);
    this.#schedule();
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#ended) return;
    const waitMs = Math.max(0, this.#notBeforeMs - performance.now());
    this.#timer = setTimeout(() => void this.#report(), waitMs);
    this.#timer.unref();
  }

  async #report(): Promise<void> {
    this.#reporting = true;
    this.#notBeforeMs = performance.now() + intervalMs;
    const nowMs = Date.now();
    for (const upstream of this.#open) if (upstream.sample(nowMs)) this.#changed.add(upstream);
    const told = [...this.#changed].map((upstream) => ({ upstream, traffic: upstream.takeTraffic() }));
    this.#changed.clear();
    if (told.length > 0) {
      try {
        await this.#send(told.map(({ traffic }) => traffic));
        this.#failing = false;
      } catch (error) {
        for (const { upstream, traffic } of told) {
          upstream.putBack(traffic);
          this.#changed.add(upstream);
        }
        this.#notBeforeMs = performance.now() + retryMs;
        if (!this.#failing) this.#log.warn('The server did not take a report of activity', errorFields(error));
        this.#failing = true;
      }
    }
    this.#reporting = false;
    this.#timer = undefined;
    if (this.#open.size > 0 || this.#changed.size > 0) this.#schedule();
  }
}
