/** A host in memory behind the real backend interface: for tests of the server, and for listings at scale. */
import {
  type BootExit,
  type BootId,
  type BootReport,
  type DiskId,
  type DiskReport,
  type EngineIdentity,
  type ExitReason,
  type GarbageItem,
  newId,
  type OwnerBlob,
  Problem,
} from '@skerry/model';
import type { Backend, BackendDescription, BackendEvent, BackendImage, BootRequest, DiskSpec } from './backend.ts';
import { SimulatedFaults } from './simulated-faults.ts';

export type { BackendCall, Fault, SimulatedFaults } from './simulated-faults.ts';

export interface SimulatedOptions {
  /** Boots that fit at once; unlimited when absent. */
  readonly capacity?: number;
  /** How long the guest takes to answer, in `ms`. */
  readonly bootMs?: number;
}

const engine: EngineIdentity = { name: 'simulated', version: '1', build: 'simulated-1', isolation: 'gvisor' };
const image: BackendImage = {
  name: 'base',
  key: 'simulated',
  sizeBytes: 1_000_000,
  user: 'user',
  workdir: '/home/user',
};
const usage = { cpuMs: 10, memoryPeakBytes: 20_000_000, networkInBytes: 0, networkOutBytes: 0 };

interface Boot {
  readonly request: BootRequest;
  report: BootReport;
}

export class SimulatedBackend implements Backend {
  readonly faults: SimulatedFaults = new SimulatedFaults();
  /** How long the guest takes to answer, in `ms`. */
  bootMs: number;
  /** Boots that fit at once. */
  capacity: number;
  /** When set, the next boots end as `start_failed` with this text. */
  startFailure: string | undefined;
  readonly #hostId = newId('host');
  readonly #disks = new Map<DiskId, DiskReport>();
  readonly #boots = new Map<BootId, Boot>();
  readonly #watchers = new Set<(event: BackendEvent | undefined) => void>();
  readonly #starts = new Map<BootId, Promise<BootReport>>();
  #nextAddress = 2;

  constructor(options: SimulatedOptions = {}) {
    this.capacity = options.capacity ?? Number.POSITIVE_INFINITY;
    this.bootMs = options.bootMs ?? 0;
  }

  describe(signal?: AbortSignal): Promise<BackendDescription> {
    return this.faults.around('describe', signal, () => ({
      hostId: this.#hostId,
      engines: [{ ...engine, freeze: false, memorySnapshot: false }],
      images: [image],
      cpus: 64,
      memoryMiB: 1024 * 1024,
      diskFreeBytes: 1e12,
      guestDigest: 'simulated',
    }));
  }

  createDisk(spec: DiskSpec, signal?: AbortSignal): Promise<DiskReport> {
    return this.faults.around('createDisk', signal, () => {
      const present = this.#disks.get(spec.diskId);
      if (present !== undefined) return present;
      if (spec.image !== image.name)
        throw new Problem('not_found', `There is no image "${spec.image}"`, { reason: 'image_not_found' });
      const { diskId, sandboxId, sizeMiB, owner } = spec;
      const disk: DiskReport = {
        diskId,
        sandboxId,
        image: spec.image,
        sizeMiB,
        usedBytes: 4096,
        createdAtMs: Date.now(),
        owner,
      };
      this.#disks.set(diskId, disk);
      return disk;
    });
  }

  setDiskOwner(diskId: DiskId, owner: OwnerBlob, signal?: AbortSignal): Promise<void> {
    return this.faults.around('setDiskOwner', signal, () => {
      this.#disks.set(diskId, { ...this.#disk(diskId), owner });
    });
  }

  deleteDisk(diskId: DiskId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('deleteDisk', signal, () => {
      for (const { report } of this.#boots.values())
        if (report.diskId === diskId && report.state !== 'ended')
          throw new Problem('conflict', `Disk "${diskId}" is in use by boot "${report.bootId}"`, {
            reason: 'disk_in_use',
          });
      this.#disks.delete(diskId);
    });
  }

  listDisks(signal?: AbortSignal): Promise<readonly DiskReport[]> {
    return this.faults.around('listDisks', signal, () => [...this.#disks.values()]);
  }

  startBoot(request: BootRequest, signal?: AbortSignal): Promise<BootReport> {
    return this.faults.around('startBoot', signal, () => {
      const { bootId } = request;
      const known = this.#boots.get(bootId);
      const starting = this.#starts.get(bootId);
      if (starting !== undefined) return starting;
      if (known !== undefined) return known.report;
      const disk = this.#disk(request.diskId);
      if (request.isolation === 'microvm')
        throw new Problem('unsupported', 'This host has no engine with isolation "microvm"', {
          reason: 'isolation_unsupported',
        });
      const alive = [...this.#boots.values()].filter((boot) => boot.report.state !== 'ended');
      if (alive.some((boot) => boot.report.diskId === disk.diskId))
        throw new Problem('conflict', `Disk "${disk.diskId}" is in use by another boot`, { reason: 'disk_in_use' });
      if (alive.length >= this.capacity)
        throw new Problem('exhausted', 'The host has no room for another boot', {
          reason: 'host_full',
          exhaustion: 'capacity',
        });
      const { sandboxId, diskId } = request;
      this.#put({ request, report: { bootId, sandboxId, diskId, state: 'starting', engine, startedAtMs: Date.now() } });
      const start = this.#bring(bootId).finally(() => this.#starts.delete(bootId));
      this.#starts.set(bootId, start);
      return start;
    });
  }

  stopBoot(bootId: BootId, _graceMs: number, signal?: AbortSignal): Promise<BootReport> {
    return this.faults.around('stopBoot', signal, () => {
      this.#end(bootId, 'stopped', 'It was asked to stop');
      return this.#boot(bootId).report;
    });
  }

  deleteBoot(bootId: BootId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('deleteBoot', signal, () => {
      if (!this.#boots.has(bootId)) return;
      this.#end(bootId, 'stopped', 'It was deleted');
      this.#boots.delete(bootId);
      this.#tell({ type: 'boot_forgotten', bootId });
    });
  }

  getBoot(bootId: BootId, signal?: AbortSignal): Promise<BootReport> {
    return this.faults.around('getBoot', signal, () => this.#boot(bootId).report);
  }

  listBoots(signal?: AbortSignal): Promise<readonly BootReport[]> {
    return this.faults.around('listBoots', signal, () => [...this.#boots.values()].map((boot) => boot.report));
  }

  async *watch(signal: AbortSignal): AsyncIterable<BackendEvent> {
    const waiting: (BackendEvent | undefined)[] = [...this.#boots.values()].map((boot) => ({
      type: 'boot',
      boot: boot.report,
    }));
    waiting.push({ type: 'synced' });
    let wake = (): void => undefined;
    const listener = (event: BackendEvent | undefined): void => {
      waiting.push(event);
      wake();
    };
    const aborted = (): void => listener(undefined);
    this.#watchers.add(listener);
    signal.addEventListener('abort', aborted);
    try {
      while (!signal.aborted) {
        if (waiting.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        const event = waiting.shift();
        if (event === undefined) return;
        yield event;
      }
    } finally {
      signal.removeEventListener('abort', aborted);
      this.#watchers.delete(listener);
    }
  }

  readLog(diskId: DiskId, maxBytes: number, signal?: AbortSignal): Promise<string> {
    return this.faults.around('readLog', signal, () =>
      `simulated log of ${this.#disk(diskId).diskId}\n`.slice(-maxBytes),
    );
  }

  listGarbage(signal?: AbortSignal): Promise<readonly GarbageItem[]> {
    return this.faults.around('listGarbage', signal, () => []);
  }

  collectGarbage(_minAgeMs: number, signal?: AbortSignal): Promise<readonly GarbageItem[]> {
    return this.faults.around('collectGarbage', signal, () => []);
  }

  /** Ends a boot as nobody asked for. */
  endSpontaneously(bootId: BootId, reason: ExitReason): void {
    this.#end(bootId, reason, `Simulated end: ${reason}`);
  }

  /** The machine goes down and comes up: every boot has ended, disks are there, watchers are cut off. */
  restartMachine(): void {
    for (const bootId of this.#boots.keys()) this.#end(bootId, 'host_restarted', 'The machine was restarted');
    this.disconnectWatchers();
  }

  /** Ends every watch, as a restart of the host daemon does. */
  disconnectWatchers(): void {
    for (const tell of this.#watchers) tell(undefined);
  }

  /** Forgets a boot without a word, as a host that lost its records. */
  forget(bootId: BootId): void {
    this.#boots.delete(bootId);
  }

  /** What runs or has ended, and which disks there are: read without faults. */
  get contents(): { readonly disks: readonly DiskReport[]; readonly boots: readonly BootReport[] } {
    return { disks: [...this.#disks.values()], boots: [...this.#boots.values()].map((boot) => boot.report) };
  }

  /** The request that a boot was made from. */
  requestOf(bootId: BootId): BootRequest {
    return this.#boot(bootId).request;
  }

  async #bring(bootId: BootId): Promise<BootReport> {
    if (this.bootMs > 0) await new Promise((resolve) => setTimeout(resolve, this.bootMs));
    if (this.startFailure !== undefined) this.#end(bootId, 'start_failed', this.startFailure);
    const boot = this.#boots.get(bootId);
    if (boot === undefined)
      throw new Problem('not_found', `There is no boot "${bootId}"`, { reason: 'boot_not_found' });
    if (boot.report.state === 'starting') {
      const number = this.#nextAddress++;
      const guest = { version: 'simulated', digest: 'simulated', protocolVersion: 1 };
      const address = `10.0.${(number >> 8) & 255}.${number & 255}`;
      this.#put({ ...boot, report: { ...boot.report, state: 'running', guest, address } });
    }
    return this.#boot(bootId).report;
  }

  #end(bootId: BootId, reason: ExitReason, detail: string): void {
    const boot = this.#boot(bootId);
    if (boot.report.state === 'ended') return;
    const { address: _, ...report } = boot.report;
    const exit: BootExit = { reason, detail, atMs: Date.now() };
    this.#put({ ...boot, report: { ...report, state: 'ended', exit, usage } });
  }

  #put(boot: Boot): void {
    this.#boots.set(boot.report.bootId, boot);
    this.#tell({ type: 'boot', boot: boot.report });
  }

  #tell(event: BackendEvent): void {
    for (const tell of this.#watchers) tell(event);
  }

  #boot(bootId: BootId): Boot {
    const boot = this.#boots.get(bootId);
    if (boot === undefined)
      throw new Problem('not_found', `There is no boot "${bootId}"`, { reason: 'boot_not_found' });
    return boot;
  }

  #disk(diskId: DiskId): DiskReport {
    const disk = this.#disks.get(diskId);
    if (disk === undefined)
      throw new Problem('not_found', `There is no disk "${diskId}"`, { reason: 'disk_not_found' });
    return disk;
  }
}
