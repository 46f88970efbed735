import type { Answer } from './answer.ts';

const mostMessageBytes = 4096;

interface Entry {
  readonly answer: Answer;
  readonly keptAtMs: number;
}

/** Answers by the key of their question, each as long as it may be given again. Bounded; the least recently used goes first. */
export class AnswerCache {
  readonly #mostEntries: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  /** `now` gives monotonic `ms`. */
  constructor(mostEntries: number, now: () => number = () => performance.now()) {
    this.#mostEntries = mostEntries;
    this.#now = now;
  }

  get(key: string): { answer: Answer; ageSeconds: number } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageSeconds = Math.floor((this.#now() - entry.keptAtMs) / 1000);
    this.#entries.delete(key);
    if (ageSeconds >= entry.answer.keepSeconds) return undefined;
    this.#entries.set(key, entry);
    return { answer: entry.answer, ageSeconds };
  }

  keep(key: string, answer: Answer): void {
    if (answer.keepSeconds === 0 || answer.message.length > mostMessageBytes) return;
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < this.#mostEntries) break;
      this.#entries.delete(oldest);
    }
    this.#entries.set(key, { answer, keptAtMs: this.#now() });
  }
}
