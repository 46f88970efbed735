import type { BootActivity, BootId } from '@skerry/model';
import { type SampleFacts, sampleWindowMs } from './facts.ts';

/** Samples do not come to the instant: a window counts as covered when so much of it is missing, in `ms`. */
const slackMs = 500;

/** The host's counters of one boot, as long as the window needs them. */
export class Samples {
  #bootId: BootId | undefined;
  #kept: BootActivity[] = [];

  /** CPU time of the boot as last seen, in `ms`. */
  get cpuMs(): number {
    return this.#kept.at(-1)?.cpuMs ?? 0;
  }

  add(sample: BootActivity): void {
    const last = this.#kept.at(-1);
    if (sample.bootId === this.#bootId && last !== undefined && sample.atMs <= last.atMs) return;
    // Counters that go back are those of another life of the boot.
    if (sample.bootId !== this.#bootId || (last !== undefined && sample.cpuMs < last.cpuMs)) this.clear();
    this.#bootId = sample.bootId;
    this.#kept.push(sample);
    // The oldest one kept is the newest that the window needs.
    while ((this.#kept[1]?.atMs ?? sample.atMs) <= sample.atMs - sampleWindowMs) this.#kept.shift();
  }

  clear(): void {
    this.#kept = [];
    this.#bootId = undefined;
  }

  /** What the counters say, once they cover `windowMs`. */
  facts(windowMs: number): SampleFacts | null {
    const newest = this.#kept.at(-1);
    if (newest === undefined) return null;
    const from = this.#kept.findLast(({ atMs }) => newest.atMs - atMs >= windowMs - slackMs);
    if (from === undefined || from === newest) return { atMs: newest.atMs };
    const spanMs = newest.atMs - from.atMs;
    const bytes = newest.networkInBytes + newest.networkOutBytes - from.networkInBytes - from.networkOutBytes;
    return {
      atMs: newest.atMs,
      cpuShare: (newest.cpuMs - from.cpuMs) / spanMs,
      networkRate: Math.max(0, (bytes / spanMs) * 1000),
    };
  }
}
