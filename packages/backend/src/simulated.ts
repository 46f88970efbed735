/** A host in memory behind the real backend interface: for tests of the server, and for listings at scale. */
import {
  type BootActivity,
  type BootId,
  type BootReport,
  type DiskDiff,
  type DiskId,
  type DiskReport,
  type EngineIdentity,
  type ExitReason,
  type GarbageItem,
  newId,
  type OwnerBlob,
  Problem,
  type SandboxId,
  type SnapshotId,
  type SnapshotReport,
} from '@skerry/model';
import type {
  Backend,
  BackendDescription,
  BackendEvent,
  BackendImage,
  BootRequest,
  DiskSpec,
  DiskState,
  SnapshotSpec,
} from './backend.ts';
import { SimulatedFaults } from './simulated-faults.ts';
import { SimulatedSnapshots } from './simulated-snapshots.ts';
import { type SimulatedBoot, SimulatedState } from './simulated-state.ts';

export type { BackendCall, Fault, SimulatedFaults } from './simulated-faults.ts';

export interface SimulatedOptions {
  /** Boots that fit at once; unlimited when absent. */
  readonly capacity?: number;
  /** How long the guest takes to answer, in `ms`. */
  readonly bootMs?: number;
}

const engine: EngineIdentity = { name: 'simulated', version: '1', build: 'simulated-1', isolation: 'gvisor' };
const guest = { version: 'simulated', digest: 'simulated', protocolVersion: 1 };
const image: BackendImage = {
  name: 'base',
  key: 'simulated',
  sizeBytes: 1_000_000,
  user: 'user',
  workdir: '/home/user',
};

export class SimulatedBackend implements Backend {
  readonly faults: SimulatedFaults = new SimulatedFaults();
  /** How long the guest takes to answer, in `ms`. */
  bootMs: number;
  /** Boots that fit at once. */
  capacity: number;
  /** When set, the next boots end as `start_failed` with this text. */
  startFailure: string | undefined;
  /** When set, boots that go on from saved memory end as `restore_failed` with this text. */
  restoreFailure: string | undefined;
  /** Memory that is left, in `MiB`. */
  memoryAvailableMiB = 1024 * 1024;
  /** Whether its engine can save memory and freeze. */
  savesMemory = true;
  readonly #hostId = newId('host');
  readonly #state = new SimulatedState();
  readonly #snapshots = new SimulatedSnapshots(this.#state);
  readonly #starts = new Map<BootId, Promise<BootReport>>();
  #nextAddress = 2;

  constructor(options: SimulatedOptions = {}) {
    this.capacity = options.capacity ?? Number.POSITIVE_INFINITY;
    this.bootMs = options.bootMs ?? 0;
  }

  /** How long saving memory takes, in `ms`. */
  set saveMs(ms: number) {
    this.#snapshots.saveMs = ms;
  }

  /** Whether memory of an imported file is taken. */
  set trustsImports(trusts: boolean) {
    this.#snapshots.trustsImports = trusts;
  }

  describe(signal?: AbortSignal): Promise<BackendDescription> {
    return this.faults.around('describe', signal, () => ({
      hostId: this.#hostId,
      engines: [{ ...engine, freeze: this.savesMemory, memorySnapshot: this.savesMemory }],
      images: [image],
      cpus: 64,
      memoryMiB: 1024 * 1024,
      memoryAvailableMiB: this.memoryAvailableMiB,
      diskFreeBytes: 1e12,
      guestDigest: guest.digest,
    }));
  }

  createDisk(spec: DiskSpec, signal?: AbortSignal): Promise<DiskReport> {
    return this.faults.around('createDisk', signal, () => {
      const present = this.#state.disks.get(spec.diskId);
      if (present !== undefined) return present.report;
      if (spec.image !== image.name)
        throw new Problem('not_found', `There is no image "${spec.image}"`, { reason: 'image_not_found' });
      const from = spec.snapshotId === undefined ? undefined : this.#state.snapshot(spec.snapshotId);
      const { diskId, sandboxId, sizeMiB, owner } = spec;
      const report: DiskReport = {
        diskId,
        sandboxId,
        image: spec.image,
        sizeMiB,
        usedBytes: 4096,
        createdAtMs: Date.now(),
        owner,
      };
      this.#state.disks.set(diskId, { report, files: new Map(from?.files), equals: spec.snapshotId });
      return report;
    });
  }

  setDiskOwner(diskId: DiskId, owner: OwnerBlob, signal?: AbortSignal): Promise<void> {
    return this.faults.around('setDiskOwner', signal, () => {
      const disk = this.#state.disk(diskId);
      disk.report = { ...disk.report, owner };
    });
  }

  deleteDisk(diskId: DiskId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('deleteDisk', signal, () => {
      const boot = this.#state.aliveOn(diskId);
      if (boot !== undefined)
        throw new Problem('conflict', `Disk "${diskId}" is in use by boot "${boot.report.bootId}"`, {
          reason: 'disk_in_use',
        });
      this.#state.disks.delete(diskId);
    });
  }

  listDisks(signal?: AbortSignal): Promise<readonly DiskReport[]> {
    return this.faults.around('listDisks', signal, () => [...this.#state.disks.values()].map((disk) => disk.report));
  }

  startBoot(request: BootRequest, signal?: AbortSignal): Promise<BootReport> {
    return this.faults.around('startBoot', signal, () => {
      const { bootId, sandboxId, diskId } = request;
      const starting = this.#starts.get(bootId);
      if (starting !== undefined) return starting;
      const known = this.#state.boots.get(bootId);
      if (known !== undefined) return known.report;
      this.#state.disk(diskId);
      if (request.isolation === 'microvm')
        throw new Problem('unsupported', 'This host has no engine with isolation "microvm"', {
          reason: 'isolation_unsupported',
        });
      if (this.#state.aliveOn(diskId) !== undefined)
        throw new Problem('conflict', `Disk "${diskId}" is in use by another boot`, { reason: 'disk_in_use' });
      const alive = [...this.#state.boots.values()].filter((boot) => boot.report.state !== 'ended');
      if (alive.length >= this.capacity)
        throw new Problem('exhausted', 'The host has no room for another boot', {
          reason: 'host_full',
          exhaustion: 'capacity',
        });
      const report: BootReport = { bootId, sandboxId, diskId, state: 'starting', engine, startedAtMs: Date.now() };
      const usage = { cpuMs: 10, networkInBytes: 0, networkOutBytes: 0 };
      this.#state.boots.set(bootId, { request, report, memory: new Map(), frozen: false, usage });
      this.#state.tell({ type: 'boot', boot: report });
      const start = this.#bring(bootId).finally(() => this.#starts.delete(bootId));
      this.#starts.set(bootId, start);
      return start;
    });
  }

  stopBoot(bootId: BootId, _graceMs: number, signal?: AbortSignal): Promise<BootReport> {
    return this.faults.around('stopBoot', signal, () => {
      this.#state.end(bootId, 'stopped', 'It was asked to stop');
      return this.#state.boot(bootId).report;
    });
  }

  deleteBoot(bootId: BootId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('deleteBoot', signal, () => {
      if (!this.#state.boots.has(bootId)) return;
      this.#state.end(bootId, 'stopped', 'It was deleted');
      this.#state.boots.delete(bootId);
      this.#state.tell({ type: 'boot_forgotten', bootId });
    });
  }

  getBoot(bootId: BootId, signal?: AbortSignal): Promise<BootReport> {
    return this.faults.around('getBoot', signal, () => this.#state.boot(bootId).report);
  }

  listBoots(signal?: AbortSignal): Promise<readonly BootReport[]> {
    return this.faults.around('listBoots', signal, () => [...this.#state.boots.values()].map((boot) => boot.report));
  }

  async *watch(signal: AbortSignal): AsyncIterable<BackendEvent> {
    const waiting: (BackendEvent | undefined)[] = [...this.#state.boots.values()].map((boot) => ({
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
    this.#state.watchers.add(listener);
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
      this.#state.watchers.delete(listener);
    }
  }

  createSnapshot(spec: SnapshotSpec, signal?: AbortSignal): Promise<SnapshotReport> {
    return this.faults.around('createSnapshot', signal, () => {
      if (spec.source.type === 'boot' && spec.source.memory && !this.savesMemory)
        throw new Problem('precondition_failed', 'The engine of this boot cannot save memory', {
          reason: 'memory_not_saved',
        });
      return this.#snapshots.create(spec);
    });
  }

  getSnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<SnapshotReport> {
    return this.faults.around('getSnapshot', signal, () => this.#state.snapshot(snapshotId).report);
  }

  listSnapshots(signal?: AbortSignal): Promise<readonly SnapshotReport[]> {
    return this.faults.around('listSnapshots', signal, () =>
      [...this.#state.snapshots.values()].map((snapshot) => snapshot.report),
    );
  }

  setSnapshotOwner(snapshotId: SnapshotId, owner: OwnerBlob, signal?: AbortSignal): Promise<void> {
    return this.faults.around('setSnapshotOwner', signal, () => {
      const snapshot = this.#state.snapshot(snapshotId);
      snapshot.report = { ...snapshot.report, owner };
    });
  }

  deleteSnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('deleteSnapshot', signal, () => this.#snapshots.delete(snapshotId));
  }

  verifySnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('verifySnapshot', signal, () => this.#snapshots.verify(snapshotId));
  }

  diff(before: DiskState, after: DiskState, limit: number, signal?: AbortSignal): Promise<DiskDiff> {
    return this.faults.around('diff', signal, () => this.#snapshots.diff(before, after, limit));
  }

  async *exportSnapshot(snapshotId: SnapshotId, memory: boolean, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    await this.faults.around('exportSnapshot', signal, () => undefined);
    yield* this.#snapshots.export(snapshotId, memory);
  }

  importSnapshot(
    snapshotId: SnapshotId,
    sandboxId: SandboxId,
    owner: OwnerBlob,
    content: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ readonly snapshot: SnapshotReport; readonly exported: OwnerBlob; readonly lost: readonly string[] }> {
    return this.faults.around('importSnapshot', signal, () =>
      this.#snapshots.import(snapshotId, sandboxId, owner, content),
    );
  }

  freezeBoot(bootId: BootId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('freezeBoot', signal, () => {
      this.#running(bootId).frozen = true;
    });
  }

  thawBoot(bootId: BootId, signal?: AbortSignal): Promise<void> {
    return this.faults.around('thawBoot', signal, () => {
      this.#running(bootId).frozen = false;
    });
  }

  sampleActivity(signal?: AbortSignal): Promise<readonly BootActivity[]> {
    return this.faults.around('sampleActivity', signal, () =>
      [...this.#state.boots.values()]
        .filter((boot) => boot.report.state === 'running')
        .map((boot) => ({
          bootId: boot.report.bootId,
          ...boot.usage,
          memoryBytes: 20_000_000,
          frozen: boot.frozen,
          atMs: Date.now(),
        })),
    );
  }

  readLog(diskId: DiskId, maxBytes: number, signal?: AbortSignal): Promise<string> {
    return this.faults.around('readLog', signal, () =>
      `simulated log of ${this.#state.disk(diskId).report.diskId}\n`.slice(-maxBytes),
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
    this.#state.end(bootId, reason, `Simulated end: ${reason}`);
  }

  /** The machine goes down and comes up: every boot has ended, disks and snapshots are there, watchers are cut off. */
  restartMachine(): void {
    for (const bootId of this.#state.boots.keys())
      this.#state.end(bootId, 'host_restarted', 'The machine was restarted');
    this.disconnectWatchers();
  }

  /** Ends every watch, as a restart of the host daemon does. */
  disconnectWatchers(): void {
    for (const tell of this.#state.watchers) tell(undefined);
  }

  /** Forgets a boot without a word, as a host that lost its records. */
  forget(bootId: BootId): void {
    this.#state.boots.delete(bootId);
  }

  /** Makes the memory of a snapshot unreadable. */
  damage(snapshotId: SnapshotId, why: string): void {
    this.#state.snapshot(snapshotId).damage = why;
  }

  /** A process in a running boot writes a file, or keeps something in memory. */
  write(bootId: BootId, where: 'file' | 'memory', name: string, value: string): void {
    const boot = this.#running(bootId);
    if (where === 'memory') boot.memory.set(name, value);
    else this.#state.disk(boot.report.diskId).files.set(name, value);
  }

  /** What is in a running boot: its files, and what its processes keep in memory. */
  read(bootId: BootId): { readonly files: ReadonlyMap<string, string>; readonly memory: ReadonlyMap<string, string> } {
    const boot = this.#running(bootId);
    return { files: new Map(this.#state.disk(boot.report.diskId).files), memory: new Map(boot.memory) };
  }

  /** Work in a running boot since the last sample, as the host's counters see it. */
  work(bootId: BootId, used: { readonly cpuMs?: number; readonly networkOutBytes?: number }): void {
    const { usage } = this.#running(bootId);
    usage.cpuMs += used.cpuMs ?? 0;
    usage.networkOutBytes += used.networkOutBytes ?? 0;
  }

  /** Everything that is there: read without faults. */
  get contents(): {
    readonly disks: readonly DiskReport[];
    readonly boots: readonly BootReport[];
    readonly snapshots: readonly SnapshotReport[];
  } {
    return {
      disks: [...this.#state.disks.values()].map((disk) => disk.report),
      boots: [...this.#state.boots.values()].map((boot) => boot.report),
      snapshots: [...this.#state.snapshots.values()].map((snapshot) => snapshot.report),
    };
  }

  /** The request that a boot was made from. */
  requestOf(bootId: BootId): BootRequest {
    return this.#state.boot(bootId).request;
  }

  async #bring(bootId: BootId): Promise<BootReport> {
    if (this.bootMs > 0) await new Promise((resolve) => setTimeout(resolve, this.bootMs));
    const boot = this.#state.boot(bootId);
    if (boot.report.state === 'starting' && this.startFailure !== undefined)
      this.#state.end(bootId, 'start_failed', this.startFailure);
    if (boot.report.state === 'starting') this.#restore(boot);
    if (boot.report.state === 'starting') {
      // From here on the boot may write: the disk equals no snapshot any more.
      this.#state.disk(boot.report.diskId).equals = undefined;
      const number = this.#nextAddress++;
      this.#state.update(bootId, { state: 'running', guest, address: `10.0.${(number >> 8) & 255}.${number & 255}` });
    }
    return boot.report;
  }

  /** Brings back the memory that a boot is to go on from; ends the boot when that cannot be done. */
  #restore(boot: SimulatedBoot): void {
    const { restoreFrom, diskId, memoryMiB } = boot.request;
    if (restoreFrom === undefined) return;
    const saved = this.#state.snapshots.get(restoreFrom);
    const refuse = (why: string): void => this.#state.end(boot.report.bootId, 'restore_failed', why);
    if (this.restoreFailure !== undefined) refuse(this.restoreFailure);
    else if (saved === undefined) refuse('The snapshot is not there');
    else if (saved.memory === undefined) refuse('The snapshot holds no memory');
    else if (saved.damage !== undefined) refuse(saved.damage);
    else if (this.#state.disk(diskId).equals !== restoreFrom) refuse('The disk was used since its memory was saved');
    else if (memoryMiB < (saved.report.memoryMiB ?? 0)) refuse('The memory does not fit');
    else boot.memory = new Map(saved.memory);
  }

  #running(bootId: BootId): SimulatedBoot {
    const boot = this.#state.boot(bootId);
    if (boot.report.state !== 'running')
      throw new Problem('conflict', `Boot "${bootId}" is ${boot.report.state}, not running`, {
        reason: 'boot_not_running',
      });
    return boot;
  }
}
