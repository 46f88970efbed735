/** Runs work one at a time for each key, in the order in which it was asked for; different keys run side by side. */
export class KeyedSerial<K> {
  readonly #tails = new Map<K, Promise<unknown>>();

  /** Runs `work` after all earlier work of `key`. A failure goes to its own caller only. */
  async run<T>(key: K, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(work, work);
    this.#tails.set(key, result);
    try {
      return await result;
    } finally {
      if (this.#tails.get(key) === result) this.#tails.delete(key);
    }
  }

  /** Whether work of this key runs or waits. */
  busy(key: K): boolean {
    return this.#tails.has(key);
  }
}
