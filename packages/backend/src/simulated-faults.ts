import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '@skerry/model';
import type { Backend } from './backend.ts';

/** Calls of a backend that can be made to go wrong. */
export type BackendCall = Exclude<keyof Backend, 'watch'>;

/** What shall happen at one call: `before` its effect it fails, or its effect happens and the answer is lost (`after`). */
export interface Fault {
  readonly call: BackendCall | 'any';
  readonly when: 'before' | 'after';
  /** How many matching calls pass first; 0 when absent. */
  readonly skip?: number;
  /** How many matching calls then fail; 1 when absent. */
  readonly times?: number;
  /** The failure; `unavailable` when absent. */
  readonly problem?: Problem;
}

interface ArmedFault {
  readonly fault: Fault;
  passesLeft: number;
  failuresLeft: number;
}

/** The wrongs that a simulated backend does to its callers. */
export class SimulatedFaults {
  #armed: ArmedFault[] = [];
  #delayMs = 0;
  readonly #counts = new Map<BackendCall, number>();

  inject(fault: Fault): void {
    this.#armed.push({ fault, passesLeft: fault.skip ?? 0, failuresLeft: fault.times ?? 1 });
  }

  /** Takes back every fault and delay. */
  clear(): void {
    this.#armed = [];
    this.#delayMs = 0;
  }

  /** Makes every call take this long before its effect. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** How often a call was made. */
  count(call: BackendCall): number {
    return this.#counts.get(call) ?? 0;
  }

  /** Runs the effect of a call with what was injected for it. */
  async around<T>(call: BackendCall, signal: AbortSignal | undefined, effect: () => Promise<T> | T): Promise<T> {
    this.#counts.set(call, this.count(call) + 1);
    const fault = this.#take(call);
    if (this.#delayMs > 0) await sleep(this.#delayMs, undefined, signal === undefined ? {} : { signal });
    signal?.throwIfAborted();
    if (fault?.when === 'before') throw this.#problemOf(fault);
    const result = await unlessAborted(Promise.resolve(effect()), signal);
    if (fault?.when === 'after') throw this.#problemOf(fault);
    return result;
  }

  #take(call: BackendCall): Fault | undefined {
    for (const armed of this.#armed) {
      if (armed.fault.call !== 'any' && armed.fault.call !== call) continue;
      if (armed.passesLeft > 0) {
        armed.passesLeft--;
        continue;
      }
      armed.failuresLeft--;
      if (armed.failuresLeft <= 0) this.#armed = this.#armed.filter((other) => other !== armed);
      return armed.fault;
    }
    return undefined;
  }

  #problemOf(fault: Fault): Problem {
    return (
      fault.problem ?? new Problem('unavailable', 'The simulated host does not answer', { reason: 'simulated_fault' })
    );
  }
}

/** Waits for an effect; a caller that goes away waits no longer, and the effect goes on. */
async function unlessAborted<T>(effect: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return effect;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(Problem.from(signal.reason));
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([effect, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    // What becomes of an effect that nobody waits for is seen at its next call.
    effect.catch(() => undefined);
  }
}
