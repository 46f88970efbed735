/** The snapshots of a simulated host. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type DiskChange,
  type DiskDiff,
  type OwnerBlob,
  Problem,
  type SandboxId,
  type SnapshotId,
  type SnapshotReport,
} from '@skerry/model';
import type { DiskState, SnapshotSpec } from './backend.ts';
import type { Contents, SimulatedSnapshot, SimulatedState } from './simulated-state.ts';

interface ExportFile {
  readonly report: SnapshotReport;
  readonly files: readonly (readonly [string, string])[];
  readonly memory?: readonly (readonly [string, string])[];
}

export class SimulatedSnapshots {
  /** How long saving memory takes, in `ms`; the boot goes on meanwhile. */
  saveMs = 0;
  /** Whether memory of an imported file is taken. */
  trustsImports = true;
  readonly #state: SimulatedState;
  readonly #saves = new Map<SnapshotId, Promise<SnapshotReport>>();

  constructor(state: SimulatedState) {
    this.#state = state;
  }

  /** Saves; calls with the same id share the work and get the same answer. */
  create(spec: SnapshotSpec): Promise<SnapshotReport> {
    const saving = this.#saves.get(spec.snapshotId);
    if (saving !== undefined) return saving;
    const save = this.#save(spec).finally(() => this.#saves.delete(spec.snapshotId));
    this.#saves.set(spec.snapshotId, save);
    return save;
  }

  /** What deletion of this one would disturb. Throws `conflict`. */
  delete(snapshotId: SnapshotId): void {
    for (const { request, report } of this.#state.boots.values())
      if (request.restoreFrom === snapshotId && report.state === 'starting')
        throw new Problem('conflict', `Boot "${report.bootId}" is being restored from snapshot "${snapshotId}"`, {
          reason: 'snapshot_in_use',
        });
    this.#state.snapshots.delete(snapshotId);
    for (const disk of this.#state.disks.values()) if (disk.equals === snapshotId) disk.equals = undefined;
  }

  verify(snapshotId: SnapshotId): void {
    const { damage } = this.#state.snapshot(snapshotId);
    if (damage !== undefined)
      throw new Problem('data_loss', `Snapshot "${snapshotId}" is damaged: ${damage}`, { reason: 'snapshot_damaged' });
  }

  diff(before: DiskState, after: DiskState, limit: number): DiskDiff {
    const [old, now] = [this.#filesOf(before), this.#filesOf(after)];
    const changes: DiskChange[] = [];
    for (const path of [...new Set([...old.keys(), ...now.keys()])].sort()) {
      const [was, is] = [old.get(path), now.get(path)];
      if (was === is) continue;
      const change = was === undefined ? 'added' : is === undefined ? 'deleted' : 'changed';
      changes.push({ change, path, type: 'file', bytes: Buffer.byteLength(is ?? was ?? '') });
    }
    return { changes: changes.slice(0, limit), truncated: changes.length > limit };
  }

  async *export(snapshotId: SnapshotId, memory: boolean): AsyncGenerator<Uint8Array> {
    this.verify(snapshotId);
    const snapshot = this.#state.snapshot(snapshotId);
    const file: ExportFile = {
      report: snapshot.report,
      files: [...snapshot.files],
      ...(memory && snapshot.memory !== undefined ? { memory: [...snapshot.memory] } : {}),
    };
    const text = JSON.stringify(file);
    yield Buffer.from(`${createHash('sha256').update(text).digest('hex')}\n`);
    yield Buffer.from(text);
  }

  async import(
    snapshotId: SnapshotId,
    sandboxId: SandboxId,
    owner: OwnerBlob,
    content: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly snapshot: SnapshotReport; readonly exported: OwnerBlob; readonly lost: readonly string[] }> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    const [digest, text = ''] = Buffer.concat(chunks).toString().split('\n', 2);
    if (createHash('sha256').update(text).digest('hex') !== digest)
      throw new Problem('data_loss', 'The file is damaged: its digest does not match', { reason: 'import_damaged' });
    const file = JSON.parse(text) as ExportFile;
    const memory = this.trustsImports ? file.memory : undefined;
    const kind = memory === undefined ? 'disk' : 'memory';
    const report: SnapshotReport = {
      ...file.report,
      snapshotId,
      sandboxId,
      owner,
      kind,
      createdAtMs: Date.now(),
      memoryBytes: memory === undefined ? 0 : file.report.memoryBytes,
    };
    const present = this.#state.snapshots.get(snapshotId);
    if (present === undefined)
      this.#state.snapshots.set(snapshotId, {
        report,
        files: new Map(file.files),
        memory: memory === undefined ? undefined : new Map(memory),
      });
    return {
      snapshot: present?.report ?? report,
      exported: file.report.owner,
      lost: file.memory !== undefined && memory === undefined ? ['memory: no trusted key signed it'] : [],
    };
  }

  async #save(spec: SnapshotSpec): Promise<SnapshotReport> {
    const { source } = spec;
    const present = this.#state.snapshots.get(spec.snapshotId);
    if (present === undefined) {
      if (source.type === 'boot') this.#runningBoot(spec);
      if (source.type === 'boot' && source.memory && this.saveMs > 0) await sleep(this.saveMs);
      this.#state.snapshots.set(spec.snapshotId, this.#made(spec));
    }
    if (source.type === 'boot' && source.end && this.#state.boots.get(source.bootId)?.report.state === 'running') {
      this.#state.end(source.bootId, 'paused', 'Its memory and disk were saved');
      this.#state.disk(this.#state.boot(source.bootId).report.diskId).equals = spec.snapshotId;
    }
    return this.#state.snapshot(spec.snapshotId).report;
  }

  #made(spec: SnapshotSpec): SimulatedSnapshot {
    const { snapshotId, sandboxId, owner, source } = spec;
    const base = { snapshotId, sandboxId, owner, createdAtMs: Date.now(), diskBytes: 4096, exclusiveBytes: 4096 };
    if (source.type === 'boot') {
      const boot = this.#runningBoot(spec);
      boot.frozen = false;
      const disk = this.#state.disk(boot.report.diskId);
      const { image, sizeMiB } = disk.report;
      const files = new Map(disk.files);
      if (!source.memory)
        return { report: { ...base, kind: 'disk', image, sizeMiB, memoryBytes: 0 }, files, memory: undefined };
      const { engine, guest } = boot.report;
      const memory = {
        kind: 'memory' as const,
        memoryMiB: boot.request.memoryMiB,
        engine,
        ...(guest === undefined ? {} : { guestDigest: guest.digest }),
        stallMs: 1,
        memoryBytes: 1_000_000,
      };
      return { report: { ...base, ...memory, image, sizeMiB }, files, memory: new Map(boot.memory) };
    }
    if (source.type === 'disk') {
      const disk = this.#state.disk(source.diskId);
      if (this.#state.aliveOn(source.diskId) !== undefined)
        throw new Problem('conflict', `Disk "${source.diskId}" is in use by a boot`, { reason: 'disk_in_use' });
      const { image, sizeMiB } = disk.report;
      const report: SnapshotReport = { ...base, kind: 'disk', image, sizeMiB, memoryBytes: 0 };
      return { report, files: new Map(disk.files), memory: undefined };
    }
    const from = this.#state.snapshot(source.snapshotId);
    const { stallMs: _, ...inherited } = from.report;
    return {
      report: { ...inherited, ...base },
      files: from.files,
      memory: from.memory,
      ...(from.damage === undefined ? {} : { damage: from.damage }),
    };
  }

  #runningBoot({ source }: SnapshotSpec) {
    if (source.type !== 'boot') throw new Problem('internal', 'Not a snapshot of a boot');
    const boot = this.#state.boot(source.bootId);
    if (boot.report.state !== 'running')
      throw new Problem('precondition_failed', `Boot "${source.bootId}" is ${boot.report.state}, not running`, {
        reason: 'boot_not_running',
      });
    return boot;
  }

  #filesOf(state: DiskState): Contents {
    return 'diskId' in state ? this.#state.disk(state.diskId).files : this.#state.snapshot(state.snapshotId).files;
  }
}
