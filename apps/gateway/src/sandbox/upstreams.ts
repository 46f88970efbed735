import type { BootId, SandboxId } from '@skerry/model';
import { type TrafficListener, Upstream } from './upstream.ts';

/** Time for what a boot that is gone had sent, before connections to it are ended by force, in `ms`. */
const goneMs = 5000;

/** The boots that the gateway knows. Keyed by boot: an address that is given to another sandbox never meets an old connection. */
export class Upstreams {
  readonly #byBoot = new Map<BootId, Upstream>();
  readonly #listener: TrafficListener;
  #revision = 0;

  constructor(listener: TrafficListener) {
    this.#listener = listener;
  }

  to(boot: { readonly sandboxId: SandboxId; readonly bootId: BootId }): Upstream {
    const known = this.#byBoot.get(boot.bootId);
    if (known !== undefined) return known;
    const made = new Upstream(boot.sandboxId, boot.bootId, this.#listener);
    this.#byBoot.set(boot.bootId, made);
    return made;
  }

  /** Counts the holds, so that an answer that is older than one can be told. */
  get revision(): number {
    return this.#revision;
  }

  /** From now on nothing new is sent to this boot until the server was asked. */
  hold(boot: { readonly sandboxId: SandboxId; readonly bootId: BootId }, draining?: Promise<void>): Upstream {
    const upstream = this.to(boot);
    this.#revision += 1;
    upstream.hold(this.#revision, draining);
    return upstream;
  }

  /** Ends everything at once. */
  cutAll(): void {
    for (const upstream of this.#byBoot.values()) upstream.cut();
  }

  /** Ends everything that goes to this boot: what it had sent is passed on. */
  end(bootId: BootId): void {
    const upstream = this.#byBoot.get(bootId);
    if (upstream === undefined) return;
    this.#byBoot.delete(bootId);
    upstream.end('gone');
    const timer = setTimeout(() => upstream.cut(), goneMs);
    void upstream.idle().then(() => {
      clearTimeout(timer);
      upstream.agent.destroy();
    });
  }
}
