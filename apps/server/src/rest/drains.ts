import type { BootId, SandboxId } from '@skerry/model';
import type { DrainAnswer } from '@skerry/protocol';

/** What became of a drain: nothing is under way and new requests wait · requests are under way · somebody needs the sandbox · nobody answered. */
export type DrainResult = 'drained' | 'busy' | 'cancelled' | 'unanswered';

/** What a gateway is told. */
export interface DrainOrder {
  readonly sandboxId: SandboxId;
  readonly bootId: BootId;
  readonly force: boolean;
}

interface OpenDrain {
  readonly settle: (result: DrainResult) => void;
  readonly result: Promise<DrainResult>;
  readonly force: boolean;
}

/** Longest wait for the gateway's answer, in `ms`: open streams that are to end get more. */
const answerMs = { asked: 5000, forced: 15_000 } as const;

/**
 * The first phase of every rest: the gateway is asked to let nothing more through to a boot, and answers when nothing is under way. A call that
 * needs the sandbox cancels it; what was drained stays held in the gateway until it is resolved again, so that there is nothing to undo.
 */
export class Drains {
  readonly #gateways = new Set<(order: DrainOrder) => void>();
  readonly #open = new Map<BootId, OpenDrain>();
  /** Boots that were drained, and that nobody has needed since. */
  readonly #drained = new Set<BootId>();

  /** Whether a gateway follows the routes. */
  get connected(): boolean {
    return this.#gateways.size > 0;
  }

  /** A gateway follows the routes. Gives back what ends that. */
  connect(tell: (order: DrainOrder) => void): () => void {
    this.#gateways.add(tell);
    return () => void this.#gateways.delete(tell);
  }

  /** Drains a boot. With `force`, open streams are ended in order first. The signal cancels it. */
  async drain(sandboxId: SandboxId, bootId: BootId, force: boolean, signal?: AbortSignal): Promise<DrainResult> {
    const present = this.#open.get(bootId);
    if (present !== undefined && present.force === force) return present.result;
    present?.settle('cancelled');
    if (!this.connected) return 'unanswered';
    const { promise, resolve } = Promise.withResolvers<DrainResult>();
    const late = setTimeout(() => resolve('unanswered'), force ? answerMs.forced : answerMs.asked);
    const drain: OpenDrain = { settle: resolve, result: promise, force };
    this.#open.set(bootId, drain);
    const abort = (): void => resolve('cancelled');
    signal?.addEventListener('abort', abort);
    if (signal?.aborted === true) abort();
    for (const tell of this.#gateways) tell({ sandboxId, bootId, force });
    try {
      const result = await promise;
      if (result === 'drained') this.#drained.add(bootId);
      return result;
    } finally {
      clearTimeout(late);
      signal?.removeEventListener('abort', abort);
      if (this.#open.get(bootId) === drain) this.#open.delete(bootId);
    }
  }

  /** A gateway has answered. */
  answer({ bootId, result }: DrainAnswer): void {
    this.#open.get(bootId)?.settle(result);
  }

  /** Somebody needs the boot: a drain that is under way, or was answered and not yet acted upon, is void. */
  cancel(bootId: BootId): void {
    this.#drained.delete(bootId);
    this.#open.get(bootId)?.settle('cancelled');
  }

  /** Takes up a drain once: `true` when the boot was drained and nobody has needed it since. */
  take(bootId: BootId): boolean {
    return this.#drained.delete(bootId);
  }
}
