import type { Log } from '@skerry/kit';
import type { BootId, GarbageItem } from '@skerry/model';
import type { NetworkConfig } from '@skerry/protocol';
import { KernelNetwork } from './kernel-network.ts';

/** One boot's claim on a network namespace. */
export interface NetworkLease {
  readonly bootId: BootId;
  /** Where the namespace is bound, for the engine's spec. */
  readonly namespacePath: string;
  /** Unique address at which this host reaches the boot. */
  readonly address: string;
}

/** The network of one instance on this machine: namespaces made ahead of need, and the packet filter around them. */
export interface Network extends AsyncDisposable {
  /** Sets up address, rules and pool; keeps what an earlier daemon left running. Throws `precondition_failed` when the subnet collides. */
  start(): Promise<void>;
  /** Hands out a namespace that is ready for `engine.start`. The same boot gets the same lease. Throws `exhausted` when no address is free. */
  lease(bootId: BootId): Promise<NetworkLease>;
  /** Gives a boot of an earlier daemon its lease back. Throws `not_found` when the kernel no longer has that namespace. */
  adopt(bootId: BootId, namespacePath: string, address: string): Promise<void>;
  /** Removes the boot's namespace, link and rules; nothing of them is left when it returns. Does nothing without a lease. */
  release(bootId: BootId): Promise<void>;
  /** Bytes to and from the boot since its lease began; zero without a lease. */
  traffic(bootId: BootId): Promise<{ inBytes: number; outBytes: number }>;
  /** Namespaces and links of this instance that neither a boot nor the pool holds. */
  garbage(): Promise<GarbageItem[]>;
  /** Removes one item of `garbage()`; does nothing when a boot or the pool holds it by now. */
  removeGarbage(item: GarbageItem): Promise<void>;
  /** Removes everything of this instance from the kernel, started or not. */
  teardown(): Promise<void>;
}

export interface NetworkOptions {
  /** Six characters of `[a-z0-9]`. */
  readonly instance: string;
  readonly config: NetworkConfig;
  /** Namespaces kept ready. */
  readonly poolSize: number;
  readonly log: Log;
}

/** Makes the network of an instance. `[Symbol.asyncDispose]` stops its work and leaves the kernel's state in place. */
export function createNetwork(options: NetworkOptions): Network {
  return new KernelNetwork(options);
}
