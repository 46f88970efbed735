import type { BootContext } from './boot-parts.ts';

/** Freezes and thaws one boot, one call after the other. What is written down is at least as cold as the boot is. */
export class Chill {
  readonly #context: BootContext;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(context: BootContext) {
    this.#context = context;
  }

  freeze(): Promise<void> {
    return this.#serial(async () => {
      const { parts, file } = this.#context;
      await file.save({ frozen: true });
      try {
        await parts.engine.freeze(file.record.spec.bootId);
      } catch (error) {
        await this.#thaw();
        throw error;
      }
    });
  }

  /** One that is not frozen is fine. */
  thaw(): Promise<void> {
    return this.#serial(() => this.#thaw());
  }

  async #thaw(): Promise<void> {
    const { parts, file } = this.#context;
    if (file.record.frozen !== true) return;
    await parts.engine.thaw(file.record.spec.bootId);
    file.record = { ...file.record, frozen: false };
    // A record that says frozen too long costs one needless thaw.
    await file.tryWrite(file.record);
  }

  #serial(work: () => Promise<void>): Promise<void> {
    const result = this.#tail.then(work, work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
