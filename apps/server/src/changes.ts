import type { SandboxId } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';

type Listener = (record: SandboxRecord) => void;

/** Tells inside this process that a sandbox was changed, after the change is durable. */
export class Changes {
  readonly #ofOne = new Map<SandboxId, Set<Listener>>();
  readonly #ofAll = new Set<Listener>();

  publish(record: SandboxRecord): void {
    for (const listener of [...(this.#ofOne.get(record.id) ?? []), ...this.#ofAll]) listener(record);
  }

  /** Calls back at every change of one sandbox. Gives back what ends that. */
  subscribe(id: SandboxId, listener: Listener): () => void {
    const listeners = this.#ofOne.get(id) ?? new Set();
    this.#ofOne.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#ofOne.get(id) === listeners) this.#ofOne.delete(id);
    };
  }

  /** Calls back at every change. Gives back what ends that. */
  subscribeAll(listener: Listener): () => void {
    this.#ofAll.add(listener);
    return () => void this.#ofAll.delete(listener);
  }
}
