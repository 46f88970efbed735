import type { Backend } from '@skerry/backend';
import { Backoff } from '@skerry/kit';
import type { BootId, BootReport } from '@skerry/model';
import type { Logger } from 'pino';

/** What the backend's watch says of boots: `unknown` while it is not connected, `absent` for a boot that it does not have. */
export type SeenBoot = BootReport | 'absent' | 'unknown';

interface Callbacks {
  /** A boot was told, changed or forgotten. */
  onBoot(report: BootReport): void;
  /** The watch has told everything there is. */
  onSynced(): void;
}

/** Follows the backend's boots; reconnects for ever. */
export class BootView {
  readonly #backend: Backend;
  readonly #log: Logger;
  #boots = new Map<BootId, BootReport>();
  #synced = false;

  constructor(backend: Backend, log: Logger) {
    this.#backend = backend;
    this.#log = log;
  }

  /** Whether the backend answers. */
  get connected(): boolean {
    return this.#synced;
  }

  see(bootId: BootId): SeenBoot {
    return this.#boots.get(bootId) ?? (this.#synced ? 'absent' : 'unknown');
  }

  /** Every boot that the backend has; empty while it is not connected. */
  get all(): readonly BootReport[] {
    return this.#synced ? [...this.#boots.values()] : [];
  }

  /** Remembers what a call answered, ahead of the watch. */
  note(report: BootReport): void {
    this.#boots.set(report.bootId, report);
  }

  async run(signal: AbortSignal, callbacks: Callbacks): Promise<void> {
    const backoff = new Backoff(50, 2000);
    while (!signal.aborted) {
      try {
        const told = new Map<BootId, BootReport>();
        for await (const event of this.#backend.watch(signal)) {
          const boots = this.#synced ? this.#boots : told;
          if (event.type === 'synced') {
            this.#boots = told;
            this.#synced = true;
            backoff.reset();
            this.#log.info({ boots: told.size }, 'The backend is connected');
            callbacks.onSynced();
          } else if (event.type === 'boot_forgotten') {
            const last = boots.get(event.bootId);
            boots.delete(event.bootId);
            if (last !== undefined && this.#synced) callbacks.onBoot(last);
          } else {
            boots.set(event.boot.bootId, event.boot);
            if (this.#synced) callbacks.onBoot(event.boot);
          }
        }
      } catch (error) {
        this.#log.debug({ err: error }, 'The backend does not answer');
      }
      if (this.#synced) this.#log.warn('The connection to the backend is lost');
      this.#synced = false;
      this.#boots = new Map();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, backoff.next());
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
        if (signal.aborted) resolve();
      });
    }
  }
}
