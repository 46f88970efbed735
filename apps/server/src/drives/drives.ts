import { Backoff } from '@skerry/kit';
import { Problem, type SandboxId } from '@skerry/model';
import type { Logger } from 'pino';

/** Does the next step of a sandbox. `false`: there is nothing to do. The signal is aborted when what is wanted may have changed. */
export type Step = (id: SandboxId, signal: AbortSignal) => Promise<boolean>;

interface Drive {
  /** Wakes that came since the last step began. */
  woken: boolean;
  /** Aborted to cut a step whose aim is no longer wanted. */
  interrupt: AbortController;
  /** Aborted to end a pause. */
  hurry: AbortController;
  readonly settled: Promise<void>;
}

/**
 * One drive per sandbox: it moves the observed state towards the desired one, step by step, until nothing is left to do. A step that fails in a
 * passing way is repeated with growing pauses; a wake ends the pause.
 */
export class Drives {
  readonly #step: Step;
  readonly #log: Logger;
  readonly #ended: AbortSignal;
  readonly #drives = new Map<SandboxId, Drive>();

  constructor(step: Step, log: Logger, ended: AbortSignal) {
    this.#step = step;
    this.#log = log;
    this.#ended = ended;
  }

  /**
   * Makes sure that a drive looks at this sandbox after now. Resolves when that drive has nothing left to do. `interrupt` cuts the step that is
   * under way: what is wanted has changed.
   */
  wake(id: SandboxId, interrupt = false): Promise<void> {
    const present = this.#drives.get(id);
    if (present !== undefined) {
      present.woken = true;
      present.hurry.abort();
      if (interrupt) present.interrupt.abort();
      return present.settled;
    }
    if (this.#ended.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const drive: Drive = {
      woken: true,
      interrupt: new AbortController(),
      hurry: new AbortController(),
      settled: promise,
    };
    this.#drives.set(id, drive);
    void this.#run(id, drive).finally(resolve);
    return promise;
  }

  busy(id: SandboxId): boolean {
    return this.#drives.has(id);
  }

  /** Resolves when no drive runs any more. */
  async idle(): Promise<void> {
    while (this.#drives.size > 0) await Promise.all([...this.#drives.values()].map((drive) => drive.settled));
  }

  async #run(id: SandboxId, drive: Drive): Promise<void> {
    const backoff = new Backoff(50, 5000);
    let more = true;
    while ((more || drive.woken) && !this.#ended.aborted) {
      drive.woken = false;
      drive.interrupt = new AbortController();
      drive.hurry = new AbortController();
      try {
        more = await this.#step(id, AbortSignal.any([drive.interrupt.signal, this.#ended]));
        backoff.reset();
      } catch (error) {
        if (this.#ended.aborted) break;
        more = true;
        if (drive.interrupt.signal.aborted) continue;
        const problem = Problem.from(error);
        const waitMs = backoff.next();
        this.#log.warn(
          { sandbox: id, reason: problem.reason, waitMs, err: error },
          'A step failed and will be repeated',
        );
        await pause(waitMs, AbortSignal.any([drive.hurry.signal, this.#ended]));
      }
    }
    this.#drives.delete(id);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
