import { readFile } from 'node:fs/promises';
import { errorFields, type Log } from '@skerry/kit';
import { type BootId, type GarbageItem, Problem } from '@skerry/model';
import type { NetworkConfig } from '@skerry/protocol';
import { AddressPlan, parseRange } from './address-plan.ts';
import { machineRoutes, refuseCollision } from './collision.ts';
import { instanceRules, removeRules } from './filter-rules.ts';
import { Forwarding } from './forwarding.ts';
import { applyRules, ipBatch, ipForce } from './kernel.ts';
import { createNamespaces, findSlots, removeNamespaces } from './namespaces.ts';
import type { Network, NetworkLease, NetworkOptions } from './network.ts';
import { pathMtu } from './path-mtu.ts';
import { SlotTable } from './slot-table.ts';

/** Most namespaces made in one go: lets a lease that waits for one get it soon. */
const mostAtOnce = 8;
/** How long the pool waits before it is filled again: the boot that has just taken a namespace goes first. */
const fillAfterMs = 30;
const followEveryMs = 5_000;

interface Release {
  readonly slot: number;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** The network over the kernel's namespaces, veth pairs and nftables. */
export class KernelNetwork implements Network {
  readonly #plan: AddressPlan;
  readonly #config: NetworkConfig;
  readonly #poolSize: number;
  readonly #log: Log;
  readonly #forwarding: Forwarding;
  readonly #slots: SlotTable;
  readonly #leasing = new Map<BootId, Promise<NetworkLease>>();
  #pool: number[] = [];
  #devices: string[] = [];
  #mtu = 1500;
  #tail: Promise<unknown> = Promise.resolve();
  #releases: Release[] = [];
  #waiting = 0;
  #refill: Promise<void> | undefined;
  #fillTimer: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #started = false;

  constructor(options: NetworkOptions) {
    this.#plan = new AddressPlan(options.instance, options.config.subnet);
    this.#config = options.config;
    this.#poolSize = options.poolSize;
    this.#log = options.log.with({ part: 'network' });
    this.#forwarding = new Forwarding(this.#plan);
    this.#slots = new SlotTable(this.#plan.slots);
    for (const range of options.config.allowEgress) {
      if (parseRange(range) === undefined)
        throw new Problem('invalid', `The opened range "${range}" is no IPv4 range`, {
          reason: 'range_invalid',
          hint: 'Give ranges such as 10.5.0.0/16.',
        });
    }
  }

  async start(): Promise<void> {
    await this.#serial(async () => {
      refuseCollision(this.#plan, await machineRoutes());
      this.#mtu = await pathMtu();
      const found = await findSlots(this.#plan);
      for (const slot of new Set([...found.links, ...found.namespaces])) this.#slots.find(slot);
      await ipBatch([`address replace ${this.#plan.ownAddress}/32 dev lo`]);
      this.#devices = await this.#forwarding.wanted();
      await applyRules(instanceRules(this.#plan, this.#config, [...found.links], this.#devices));
      await this.#forwarding.turnOn(this.#devices, this.#links());
    });
    this.#started = true;
    this.#timer = setInterval(() => void this.#follow(), followEveryMs);
    this.#timer.unref();
    this.#fill();
  }

  lease(bootId: BootId): Promise<NetworkLease> {
    const held = this.#slots.held(bootId);
    if (held !== undefined) return Promise.resolve(this.#leaseOf(bootId, held));
    const joined = this.#leasing.get(bootId);
    if (joined !== undefined) return joined;
    const leasing = this.#take(bootId).finally(() => this.#leasing.delete(bootId));
    this.#leasing.set(bootId, leasing);
    return leasing;
  }

  async #take(bootId: BootId): Promise<NetworkLease> {
    const slot = this.#pool.shift() ?? (await this.#waitForOne());
    this.#slots.hold(slot, bootId);
    this.#fillSoon();
    return this.#leaseOf(bootId, slot);
  }

  /** A namespace for a lease that found the pool empty: made together with those of all who wait at that time. */
  async #waitForOne(): Promise<number> {
    this.#waiting += 1;
    try {
      return await this.#serial(async () => {
        if (this.#pool.length === 0) this.#pool.push(...(await this.#create(Math.min(mostAtOnce, this.#waiting))));
        const slot = this.#pool.shift();
        if (slot !== undefined) return slot;
        throw new Problem(
          'exhausted',
          `All ${this.#plan.slots} addresses of the subnet ${this.#plan.subnet} are in use`,
          {
            reason: 'addresses_exhausted',
            exhaustion: 'capacity',
            hint: 'Stop or delete sandboxes, or give the instance a larger subnet.',
          },
        );
      });
    } finally {
      this.#waiting -= 1;
    }
  }

  async adopt(bootId: BootId, namespacePath: string, address: string): Promise<void> {
    await this.#serial(async () => {
      const slot = this.#plan.slotOf(namespacePath.slice(namespacePath.lastIndexOf('/') + 1));
      const found = await findSlots(this.#plan);
      if (
        slot === undefined ||
        !found.links.has(slot) ||
        !found.namespaces.has(slot) ||
        this.#plan.address(slot) !== address ||
        this.#plan.namespacePath(slot) !== namespacePath
      ) {
        throw new Problem('not_found', `This host no longer has the network of boot "${bootId}"`, {
          reason: 'network_not_found',
          context: { namespacePath, address },
        });
      }
      const owner = this.#slots.owner(slot);
      if (owner !== undefined && owner !== bootId)
        throw new Problem('conflict', `The network of boot "${bootId}" belongs to boot "${owner}"`, {
          reason: 'network_taken',
        });
      this.#pool = this.#pool.filter((ready) => ready !== slot);
      this.#slots.hold(slot, bootId);
    });
  }

  async release(bootId: BootId): Promise<void> {
    await this.#leasing.get(bootId)?.catch(() => undefined);
    const slot = this.#slots.held(bootId);
    if (slot === undefined) return;
    await this.#remove(slot);
    this.#slots.free(slot);
    this.#fillSoon();
  }

  async traffic(bootId: BootId): Promise<{ inBytes: number; outBytes: number }> {
    const slot = this.#slots.held(bootId);
    if (slot === undefined) return { inBytes: 0, outBytes: 0 };
    const count = async (name: string): Promise<number> =>
      Number(await readFile(`/sys/class/net/${this.#plan.link(slot)}/statistics/${name}`, 'utf8').catch(() => '0'));
    const [inBytes, outBytes] = await Promise.all([count('tx_bytes'), count('rx_bytes')]);
    return { inBytes, outBytes };
  }

  async garbage(): Promise<GarbageItem[]> {
    const found = await this.#serial(() => findSlots(this.#plan));
    const unowned = new Set([...found.links, ...found.namespaces].filter((slot) => !this.#inUse(slot)));
    return [...this.#slots.unowned(unowned)].map(([slot, ageMs]) => ({
      kind: found.namespaces.has(slot) ? 'namespace' : 'link',
      name: found.namespaces.has(slot) ? this.#plan.namespace(slot) : this.#plan.link(slot),
      reason: 'no boot and no pool holds it',
      ageMs,
    }));
  }

  async removeGarbage(item: GarbageItem): Promise<void> {
    const slot = item.kind === 'namespace' || item.kind === 'link' ? this.#plan.slotOf(item.name) : undefined;
    if (slot === undefined || this.#inUse(slot)) return;
    await this.#remove(slot);
    this.#slots.free(slot);
  }

  async teardown(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#serial(async () => {
      const found = await findSlots(this.#plan);
      const slots = [...new Set([...found.links, ...found.namespaces])];
      await removeNamespaces(this.#plan, slots);
      await this.#forwarding.putBack();
      await applyRules(removeRules(this.#plan));
      await ipForce([`address delete ${this.#plan.ownAddress}/32 dev lo`]);
      this.#slots.clear();
      this.#pool = [];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#started = false;
    clearInterval(this.#timer);
    clearTimeout(this.#fillTimer);
    await this.#refill;
    await this.#tail.catch(() => undefined);
  }

  /** Runs one change of the kernel after the other. */
  #serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work, work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  #leaseOf(bootId: BootId, slot: number): NetworkLease {
    return { bootId, namespacePath: this.#plan.namespacePath(slot), address: this.#plan.address(slot) };
  }

  #links(): string[] {
    return this.#slots.known().map((slot) => this.#plan.link(slot));
  }

  #inUse(slot: number): boolean {
    return this.#slots.owner(slot) !== undefined || this.#pool.includes(slot) || this.#slots.making(slot);
  }

  /** Makes up to `count` namespaces; fewer when addresses run out. */
  async #create(count: number): Promise<number[]> {
    const slots = this.#slots.reserve(count);
    try {
      await createNamespaces(this.#plan, slots, this.#mtu);
      this.#slots.made(slots);
      return slots;
    } catch (error) {
      await removeNamespaces(this.#plan, slots).catch((cause: unknown) => {
        this.#log.error('half-made namespaces stay', { slots, ...errorFields(cause) });
      });
      for (const slot of slots) this.#slots.free(slot);
      throw error;
    }
  }

  #fillSoon(): void {
    clearTimeout(this.#fillTimer);
    this.#fillTimer = setTimeout(() => this.#fill(), fillAfterMs);
    this.#fillTimer.unref();
  }

  /** Tops the pool up in the background, one filler at a time. */
  #fill(): void {
    if (!this.#started || this.#refill !== undefined || this.#pool.length >= this.#poolSize) return;
    this.#refill = this.#fillPool()
      .catch((error: unknown) => this.#log.error('could not fill the pool of namespaces', errorFields(error)))
      .finally(() => {
        this.#refill = undefined;
      });
  }

  async #fillPool(): Promise<void> {
    while (this.#started && this.#pool.length < this.#poolSize) {
      const made = await this.#serial(async () => {
        const slots = await this.#create(Math.min(mostAtOnce, this.#poolSize - this.#pool.length));
        this.#pool.push(...slots);
        return slots.length;
      });
      if (made === 0) return;
    }
  }

  /** Removes a slot from the kernel, together with all others that wait for it at that time. */
  #remove(slot: number): Promise<void> {
    return new Promise((done, failed) => {
      this.#releases.push({ slot, done, failed });
      if (this.#releases.length > 1) return;
      void this.#serial(async () => {
        const batch = this.#releases;
        this.#releases = [];
        try {
          await removeNamespaces(this.#plan, [...new Set(batch.map((release) => release.slot))]);
          for (const release of batch) release.done();
        } catch (error) {
          for (const release of batch) release.failed(error);
        }
      });
    });
  }

  async #follow(): Promise<void> {
    try {
      await this.#serial(async () => {
        if (this.#started) this.#devices = await this.#forwarding.follow(this.#devices, this.#links());
      });
    } catch (error) {
      this.#log.warn('could not follow the forwarding of the machine', errorFields(error));
    }
    this.#fill();
  }
}
