/** Boots over a fake engine, a network in memory and fake guests, in a directory that goes away: everything but the machine. */
import { randomInt } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeEngine, FakeMachine } from '@skerry/engine/fake';
import { createLog } from '@skerry/kit';
import { type BootId, type BootReport, type DiskId, newId, Problem } from '@skerry/model';
import { BootFeed } from '../boots/boot-feed.ts';
import { Boots } from '../boots/boots.ts';
import type { BootSpec } from '../boots/boot-record.ts';
import type { Network, NetworkLease } from '../network/network.ts';
import { FakeGuest } from './fake-guest.ts';

export class BootsBench implements AsyncDisposable {
  readonly directory: string;
  readonly machine: FakeMachine = new FakeMachine();
  readonly engine: FakeEngine = new FakeEngine(this.machine);
  readonly network: MemoryNetwork;
  readonly guest: FakeGuest;
  readonly holders: Map<DiskId, BootId> = new Map();
  readonly syncs = { count: 0 };
  diskFull = false;
  #closing: AbortController = new AbortController();

  private constructor(directory: string, guest: FakeGuest, address: string) {
    this.directory = directory;
    this.guest = guest;
    this.network = new MemoryNetwork(address);
  }

  static async make(): Promise<BootsBench> {
    const directory = await mkdtemp(join(tmpdir(), 'skerry-boots-'));
    for (const name of ['boots', 'trash', 'logs']) await mkdir(join(directory, name));
    const address = `127.${randomInt(1, 255)}.${randomInt(255)}.${randomInt(1, 255)}`;
    return new BootsBench(directory, await FakeGuest.listen(address), address);
  }

  /** A daemon over what is there; called again it is the daemon that comes after. */
  async open(hostBootId = 'uptime-1'): Promise<Boots> {
    this.holders.clear();
    this.#closing.abort();
    this.#closing = new AbortController();
    return Boots.open({
      directory: join(this.directory, 'boots'),
      trashDirectory: join(this.directory, 'trash'),
      engine: this.engine,
      description: await this.engine.describe(),
      network: this.network,
      disks: {
        get: (diskId) => ({
          formatVersion: 1,
          diskId,
          sandboxId: this.sandboxId,
          image: 'base',
          imageKey: 'k',
          sizeMiB: 1,
          durable: true,
          createdAtMs: 0,
          owner: { version: 1, project: 'p', sandbox: {} },
        }),
        hold: (diskId, bootId) => {
          if ((this.holders.get(diskId) ?? bootId) !== bootId) throw new Problem('conflict', 'held');
          this.holders.set(diskId, bootId);
        },
        release: (diskId) => void this.holders.delete(diskId),
        rootOf: (diskId) => `/disks/${diskId}`,
        isFull: async () => this.diskFull,
        isDurable: () => true,
      },
      images: { envOf: () => ({ PATH: '/bin', LANG: 'C' }) },
      space: { admit: async () => undefined },
      logs: { prepare: async () => join(this.directory, 'logs/x'), resume: () => '', close: () => undefined },
      feed: new BootFeed(),
      limits: { memoryMiB: 4096, pidMax: 1_000_000, pidsPerBoot: 8192 },
      guest: { path: '/guest', digest: 'd1' },
      hostBootId,
      resolvConf: '/resolv.conf',
      machineEnv: { LANG: 'de', HTTP_PROXY: 'p' },
      caBundle: 'PEM',
      sync: async () => {
        this.syncs.count += 1;
      },
      closing: this.#closing.signal,
      log: createLog('test', 'error', () => undefined),
    });
  }

  readonly sandboxId: BootSpec['sandboxId'] = newId('sandbox');

  spec(change: Partial<BootSpec> = {}): BootSpec {
    return {
      bootId: newId('boot'),
      sandboxId: this.sandboxId,
      diskId: newId('disk'),
      hostname: 'box',
      cpus: 1,
      memoryMiB: 256,
      isolation: 'any',
      generation: 3,
      accessToken: 'token',
      env: { HTTP_PROXY: 'mine' },
      user: 'user',
      ...change,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Leases of one loopback address. */
class MemoryNetwork implements Network {
  readonly leases: Set<BootId> = new Set();
  readonly #address: string;

  constructor(address: string) {
    this.#address = address;
  }

  async start(): Promise<void> {}

  async lease(bootId: BootId): Promise<NetworkLease> {
    this.leases.add(bootId);
    return { bootId, namespacePath: '/netns', address: this.#address };
  }

  async adopt(bootId: BootId): Promise<void> {
    this.leases.add(bootId);
  }

  async release(bootId: BootId): Promise<void> {
    this.leases.delete(bootId);
  }

  async traffic(): Promise<{ inBytes: number; outBytes: number }> {
    return { inBytes: 1, outBytes: 2 };
  }

  async garbage(): Promise<[]> {
    return [];
  }

  async removeGarbage(): Promise<void> {}

  async teardown(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Waits until a boot has ended. */
export async function ended(boots: Boots, bootId: BootId): Promise<BootReport> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const report = boots.get(bootId);
    if (report.state === 'ended') return report;
    if (Date.now() > deadline) throw new Error(`Boot "${bootId}" is still ${report.state}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
