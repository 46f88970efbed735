/** Since when each thing has been seen without an owner. A server that starts anew has seen nothing: what it judges by this only gets younger. */
export class Sightings {
  #first = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Everything that has no owner now. */
  see(names: readonly string[]): void {
    const nowMs = this.#now();
    this.#first = new Map(names.map((name) => [name, this.#first.get(name) ?? nowMs]));
  }

  ageMs(name: string): number {
    const first = this.#first.get(name);
    return first === undefined ? 0 : Math.max(0, this.#now() - first);
  }
}
