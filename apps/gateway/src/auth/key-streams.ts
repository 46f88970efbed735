import { CutList } from '../http/cut-list.ts';

/** Streams that an API key opened: its revocation ends them. */
export class KeyStreams {
  readonly #byKey = new Map<string, CutList>();

  /** `end` is called when the key is revoked, unless the returned function was called before. */
  add(keyHash: string, end: () => void): () => void {
    const list = this.#byKey.get(keyHash) ?? new CutList();
    this.#byKey.set(keyHash, list);
    const forget = list.add(end);
    return () => {
      forget();
      if (list.size === 0 && this.#byKey.get(keyHash) === list) this.#byKey.delete(keyHash);
    };
  }

  cut(keyHash: string): void {
    const list = this.#byKey.get(keyHash);
    this.#byKey.delete(keyHash);
    list?.cut();
  }
}
