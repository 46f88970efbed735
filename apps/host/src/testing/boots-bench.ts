/** Boots over a fake engine, a network in memory and fake guests, in a directory that goes away: everything but the machine. */
import { randomInt } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeEngine, FakeMachine } from '@skerry/engine/fake';
import { createLog } from '@skerry/kit';
import { type BootId, type BootReport, type DiskId, newId, Problem } from '@skerry/model';
import { BootFeed } from '../boots/boot-feed.ts';
import { Boots } from '../boots/boots.ts';
import type { BootSpec } from '../boots/boot-record.ts';
import type { Network, NetworkLease } from '../network/network.ts';
import { recordedSpace } from '../snapshots/recorded-space.ts';
import { SnapshotMaker } from '../snapshots/snapshot-maker.ts';
import { Snapshots } from '../snapshots/snapshots.ts';
import { roomHint } from '../store/disk-space.ts';
import { Trash } from '../store/trash.ts';
import { FakeGuest } from './fake-guest.ts';
import { MemoryDisks } from './memory-disks.ts';
import { PlainFiles } from './plain-files.ts';

export class BootsBench implements AsyncDisposable {
  readonly directory: string;
  readonly sandboxId: BootSpec['sandboxId'];
  readonly machine: FakeMachine = new FakeMachine();
  readonly engine: FakeEngine = new FakeEngine(this.machine);
  readonly network: MemoryNetwork;
  readonly guest: FakeGuest;
  readonly disks: MemoryDisks;
  readonly files: PlainFiles = new PlainFiles();
  readonly syncs = { count: 0 };
  /** Room on the host's disk, in `bytes`. */
  freeBytes = 2 ** 40;
  /** Thrown by the next flush of the store. */
  syncFailure: Error | undefined;
  #closing: AbortController = new AbortController();

  private constructor(directory: string, guest: FakeGuest, address: string, sandboxId: BootSpec['sandboxId']) {
    this.directory = directory;
    this.sandboxId = sandboxId;
    this.guest = guest;
    this.network = new MemoryNetwork(address);
    this.disks = new MemoryDisks(join(directory, 'disks'), this.sandboxId, (id) =>
      join(directory, 'snapshots', id, 'root'),
    );
  }

  get holders(): ReadonlyMap<DiskId, BootId> {
    return this.disks.holders;
  }

  static async make(sandboxId = newId('sandbox')): Promise<BootsBench> {
    const directory = await mkdtemp(join(tmpdir(), 'skerry-boots-'));
    for (const name of ['boots', 'trash', 'logs', 'snapshots', 'disks']) await mkdir(join(directory, name));
    const address = `127.${randomInt(1, 255)}.${randomInt(255)}.${randomInt(1, 255)}`;
    return new BootsBench(directory, await FakeGuest.listen(address), address, sandboxId);
  }

  /** A daemon over what is there; called again it is the daemon that comes after. */
  async open(hostBootId = 'uptime-1'): Promise<Boots> {
    return (await this.openAll(hostBootId)).boots;
  }

  async openAll(
    hostBootId = 'uptime-1',
  ): Promise<{ readonly boots: Boots; readonly snapshots: Snapshots; readonly maker: SnapshotMaker }> {
    this.disks.holders.clear();
    this.#closing.abort();
    this.#closing = new AbortController();
    const log = createLog('test', 'error', () => undefined);
    const sync = async (): Promise<void> => {
      const failure = this.syncFailure;
      this.syncFailure = undefined;
      if (failure !== undefined) throw failure;
      this.syncs.count += 1;
    };
    const trash = new Trash(join(this.directory, 'trash'), this.directory, async () => undefined, log);
    const snapshots = await Snapshots.open({
      directory: join(this.directory, 'snapshots'),
      trash,
      files: this.files,
      engine: this.engine,
      hasGuest: async (digest) => digest === 'd1',
      space: recordedSpace,
      log,
    });
    const space = {
      freeBytes: async () => this.freeBytes,
      admit: async (what: string, neededBytes = 0) => {
        if (this.freeBytes < neededBytes) throw fullDisk(what);
      },
    };
    const disks = this.disks.parts;
    const boots = await Boots.open({
      directory: join(this.directory, 'boots'),
      trashDirectory: join(this.directory, 'trash'),
      engine: this.engine,
      description: await this.engine.describe(),
      network: this.network,
      disks,
      snapshots,
      space,
      images: { envOf: () => ({ PATH: '/bin', LANG: 'C' }) },
      logs: { prepare: async () => join(this.directory, 'logs/x'), resume: () => '', close: () => undefined },
      feed: new BootFeed(),
      limits: { memoryMiB: 4096, pidMax: 1_000_000, pidsPerBoot: 8192 },
      guest: { path: '/guest', digest: 'd1' },
      guestPathOf: (digest) => `/guests/${digest}`,
      hostBootId,
      resolvConf: '/resolv.conf',
      machineEnv: { LANG: 'de', HTTP_PROXY: 'p' },
      caBundle: 'PEM',
      sync,
      closing: this.#closing.signal,
      log,
    });
    return { boots, snapshots, maker: new SnapshotMaker({ snapshots, boots, disks, space, log }) };
  }

  /** A boot of a disk with a file in it. */
  async bootable(change: Partial<BootSpec> = {}): Promise<BootSpec> {
    const spec = this.spec(change);
    await writeFile(join(await this.disks.make(spec.diskId), 'file'), 'content');
    return spec;
  }

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

function fullDisk(what: string): Problem {
  return new Problem('exhausted', `Cannot make ${what}`, { exhaustion: 'disk', hint: roomHint });
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
