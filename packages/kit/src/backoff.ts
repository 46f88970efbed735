/** Waiting times that double from a first one to a most, each with up to a quarter of jitter. */
export class Backoff {
  readonly #firstMs: number;
  readonly #mostMs: number;
  #nextMs: number;

  constructor(firstMs: number, mostMs: number) {
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
    this.#nextMs = firstMs;
  }

  /** The next waiting time, in `ms`. */
  next(): number {
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(this.#mostMs, waitMs * 2);
    return waitMs * (0.75 + Math.random() * 0.25);
  }

  /** Begins again with the first waiting time, after a success. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
