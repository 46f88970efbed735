import type { StageTiming } from './artifacts.ts';
import { type CacheLock, lockCache } from './cache-lock.ts';
import { SetupFailure } from './setup-failure.ts';

/** One thing that set-up provides. `find` is cheap, changes nothing and returns null when the thing has to be built. */
export interface Stage<T> {
  readonly name: string;
  /** What is about to be done and why, as one sentence; printed only when it is done. */
  readonly does: string;
  find(): Promise<T | null>;
  build(say: (line: string) => void): Promise<T>;
}

/** Runs stages: finds what is there, and takes the cache's lock before the first one that has to be built. */
export class StageRunner implements AsyncDisposable {
  readonly #root: string;
  readonly #print: (line: string) => void;
  readonly #timings: StageTiming[] = [];
  #lock: Promise<CacheLock> | null = null;

  constructor(root: string, print: (line: string) => void) {
    this.#root = root;
    this.#print = print;
  }

  get timings(): readonly StageTiming[] {
    return this.#timings;
  }

  async run<T>(stage: Stage<T>): Promise<T> {
    let begun = performance.now();
    const found = await stage.find();
    if (found !== null) return this.#finish(stage, begun, true, found);
    this.#requireRoot(stage);
    const lock = await this.#locked();
    const foundLate = lock.waited ? await stage.find() : null;
    if (foundLate !== null) return this.#finish(stage, begun, true, foundLate);
    const say = (line: string): void => this.#print(`${stage.name}: ${line}`);
    say(stage.does);
    begun = performance.now();
    const built = await stage.build(say);
    const result = this.#finish(stage, begun, false, built);
    say(`done in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lock === null) return;
    const lock = await this.#lock.catch(() => null);
    await lock?.[Symbol.asyncDispose]();
  }

  #finish<T>(stage: Stage<T>, begun: number, cached: boolean, result: T): T {
    this.#timings.push({ stage: stage.name, ms: Math.round(performance.now() - begun), cached });
    return result;
  }

  #locked(): Promise<CacheLock> {
    this.#lock ??= lockCache(this.#root, () => this.#print('waiting for another set-up on this machine to finish'));
    return this.#lock;
  }

  #requireRoot(stage: Stage<unknown>): void {
    if (process.geteuid?.() === 0) return;
    throw new SetupFailure(
      `Cannot prepare "${stage.name}": it is missing, and only root may install it.`,
      'Run the same command once as root (for example with sudo).',
    );
  }
}
