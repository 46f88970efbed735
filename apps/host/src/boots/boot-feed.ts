import type { BootId, BootReport } from '@skerry/model';

/** One thing told to a watcher; the wire form of the backend's event. */
export type FeedEvent =
  | { readonly type: 'boot'; readonly boot: BootReport }
  | { readonly type: 'synced' }
  | { readonly type: 'boot_forgotten'; readonly bootId: BootId };

interface Watcher {
  /** The newest of each boot that this watcher has not seen: a slow one misses steps between, never the last. */
  readonly pending: Map<BootId, FeedEvent>;
  wake: () => void;
}

/** Tells watchers of every change of a boot. What waits for a slow one is bounded by the number of boots. */
export class BootFeed {
  readonly #watchers = new Set<Watcher>();

  boot(report: BootReport): void {
    this.#tell(report.bootId, { type: 'boot', boot: report });
  }

  forgotten(bootId: BootId): void {
    this.#tell(bootId, { type: 'boot_forgotten', bootId });
  }

  /** Every boot of `current`, then `synced`, then changes, until the signal aborts. */
  async *watch(current: () => readonly BootReport[], signal: AbortSignal): AsyncGenerator<FeedEvent> {
    const watcher: Watcher = { pending: new Map(), wake: () => undefined };
    const abort = (): void => watcher.wake();
    signal.addEventListener('abort', abort);
    this.#watchers.add(watcher);
    try {
      for (const boot of current()) yield { type: 'boot', boot };
      yield { type: 'synced' };
      while (!signal.aborted) {
        const [first] = watcher.pending;
        if (first === undefined) {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
            // A change or an abort between the look and this line has called the old one.
            if (signal.aborted || watcher.pending.size > 0) resolve();
          });
          continue;
        }
        watcher.pending.delete(first[0]);
        yield first[1];
      }
    } finally {
      signal.removeEventListener('abort', abort);
      this.#watchers.delete(watcher);
    }
  }

  #tell(bootId: BootId, event: FeedEvent): void {
    for (const watcher of this.#watchers) {
      // Deleted first, so that it goes to the end: order among boots is the order of their newest changes.
      watcher.pending.delete(bootId);
      watcher.pending.set(bootId, event);
      watcher.wake();
    }
  }
}
