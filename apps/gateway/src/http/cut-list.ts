/** Streams that end together when what they depend on goes away. */
export class CutList {
  readonly #ends = new Set<() => void>();

  /** `end` is called when the list is cut, unless the returned function was called before. */
  add(end: () => void): () => void {
    this.#ends.add(end);
    return () => void this.#ends.delete(end);
  }

  cut(): void {
    const ends = [...this.#ends];
    this.#ends.clear();
    for (const end of ends) end();
  }

  get size(): number {
    return this.#ends.size;
  }
}
