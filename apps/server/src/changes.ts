import type { Problem, SandboxId, SnapshotId } from '@skerry/model';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';

type Listener<T> = (told: T) => void;

/** What was asked and is not done. */
export type Undone = 'pause' | 'rollback' | 'snapshot' | 'fork';

interface ToldFailure {
  readonly problem: Problem;
  /** Version of the record that the failure was written in. */
  readonly version: number;
}

/** Failures that are remembered; those who wait for them are there already. */
const keptFailures = 1000;

/** Tells inside this process that a sandbox or a snapshot was changed, after the change is durable. */
export class Changes {
  readonly #ofOne = new Listeners<SandboxId, SandboxRecord>();
  readonly #ofSnapshot = new Listeners<SnapshotId, SnapshotRecord>();
  readonly #failed = new Listeners<SandboxId | SnapshotId, Problem>();
  readonly #failures = new Map<string, ToldFailure>();
  readonly #ofAll = new Set<Listener<SandboxRecord>>();

  publish(record: SandboxRecord): void {
    this.#ofOne.tell(record.id, record);
    for (const listener of [...this.#ofAll]) listener(record);
  }

  publishSnapshot(record: SnapshotRecord): void {
    this.#ofSnapshot.tell(record.id, record);
  }

  /**
   * Keeps, for those who wait, why something that was asked of a sandbox or of a snapshot was not done: what is stored says nothing of it. To be
   * called before the change of that version is published.
   */
  fail(id: SandboxId | SnapshotId, undone: Undone, problem: Problem, version: number): void {
    const key = `${id}:${undone}`;
    this.#failures.delete(key);
    this.#failures.set(key, { problem, version });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > keptFailures && oldest !== undefined) this.#failures.delete(oldest);
    this.#failed.tell(id, problem);
  }

  /** Calls back when something that was asked of one sandbox, or a snapshot, fails. Gives back what ends that. */
  subscribeFailures(id: SandboxId | SnapshotId, listener: Listener<Problem>): () => void {
    return this.#failed.add(id, listener);
  }

  /** Why what was asked by the write of a version was not done; `undefined` when nothing is known of that. */
  failureSince(id: SandboxId | SnapshotId, undone: Undone, version: number): Problem | undefined {
    const failure = this.#failures.get(`${id}:${undone}`);
    return failure !== undefined && failure.version > version ? failure.problem : undefined;
  }

  /** Calls back at every change of one sandbox. Gives back what ends that. */
  subscribe(id: SandboxId, listener: Listener<SandboxRecord>): () => void {
    return this.#ofOne.add(id, listener);
  }

  /** Calls back at every change of one snapshot. Gives back what ends that. */
  subscribeSnapshot(id: SnapshotId, listener: Listener<SnapshotRecord>): () => void {
    return this.#ofSnapshot.add(id, listener);
  }

  /** Calls back at every change. Gives back what ends that. */
  subscribeAll(listener: Listener<SandboxRecord>): () => void {
    this.#ofAll.add(listener);
    return () => void this.#ofAll.delete(listener);
  }
}

class Listeners<Id extends string, T> {
  readonly #listeners = new Map<Id, Set<Listener<T>>>();

  tell(id: Id, told: T): void {
    for (const listener of [...(this.#listeners.get(id) ?? [])]) listener(told);
  }

  add(id: Id, listener: Listener<T>): () => void {
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id);
    };
  }
}
