import type { Backend, BackendDescription } from '@skerry/backend';

const freshMs = 10_000;

/** What the backend said of itself, kept for a while, so that admission costs no call. */
export class BackendFacts {
  readonly #backend: Backend;
  #known: { readonly description: BackendDescription; readonly atMs: number } | undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The newest description; an older one while the backend is away. Throws `unavailable` when it never answered. */
  async get(signal?: AbortSignal): Promise<BackendDescription> {
    if (this.#known !== undefined && Date.now() - this.#known.atMs < freshMs) return this.#known.description;
    try {
      const description = await this.#backend.describe(signal);
      this.#known = { description, atMs: Date.now() };
      return description;
    } catch (error) {
      if (this.#known !== undefined) return this.#known.description;
      throw error;
    }
  }
}
