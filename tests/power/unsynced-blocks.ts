/** What a disk has taken but not yet promised to keep: the versions of each block since the last flush, and what of them is left when the power goes. */

export const blockBytes = 4096;

/** Most versions of one block that are told apart; more are as good as no flush in between. */
const mostVersions = 4;

interface Version {
  /** Number of the write, counted over the whole device. */
  readonly write: number;
  readonly data: Buffer;
}

/**
 * What becomes of unsynced writes: `none` is left · `all` are · `prefix`: those up to a random one, as of a disk that works in order ·
 * `random`: any version of any block, as of a disk that works in no order.
 */
export const losses = ['none', 'all', 'prefix', 'random'] as const;
export type Loss = (typeof losses)[number];

export class UnsyncedBlocks {
  readonly #versions = new Map<number, Version[]>();
  #writes = 0;

  /** Number of blocks that differ from what is synced. */
  get size(): number {
    return this.#versions.size;
  }

  /** Counts a write; its blocks are then given to `put`. */
  beginWrite(): void {
    this.#writes++;
  }

  /** Newest content of a block, or `undefined` when it is as synced. */
  get(block: number): Buffer | undefined {
    return this.#versions.get(block)?.at(-1)?.data;
  }

  /** Takes the whole content of one block. */
  put(block: number, data: Buffer): void {
    const version = { write: this.#writes, data };
    const versions = this.#versions.get(block);
    if (versions === undefined) this.#versions.set(block, [version]);
    else {
      versions.push(version);
      if (versions.length > mostVersions) versions.splice(1, 1);
    }
  }

  /** Every block with its newest content. */
  *newest(): Generator<readonly [block: number, data: Buffer]> {
    for (const [block, versions] of this.#versions) {
      const last = versions.at(-1);
      if (last !== undefined) yield [block, last.data];
    }
  }

  /** The blocks that a power loss leaves changed; `random` gives numbers from 0 to 1. */
  *survivors(loss: Loss, random: () => number): Generator<readonly [block: number, data: Buffer]> {
    const writes = [...this.#versions.values()].flatMap((versions) => versions.map((version) => version.write));
    let [first, last] = [this.#writes, 0];
    for (const write of writes) {
      first = Math.min(first, write);
      last = Math.max(last, write);
    }
    const until = first + Math.floor(random() * (last - first + 1));
    for (const [block, versions] of this.#versions) {
      const found =
        loss === 'none'
          ? undefined
          : loss === 'all'
            ? versions.at(-1)
            : loss === 'prefix'
              ? versions.findLast((version) => version.write <= until)
              : versions[Math.floor(random() * (versions.length + 1)) - 1];
      if (found !== undefined) yield [block, found.data];
    }
  }

  clear(): void {
    this.#versions.clear();
  }
}

/** A small generator of numbers from 0 to 1 that is the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
