/** What a simulated host holds, and the moves that its verbs share. */
import {
  type BootExit,
  type BootId,
  type BootReport,
  type DiskId,
  type DiskReport,
  type ExitReason,
  Problem,
  type SnapshotId,
  type SnapshotReport,
} from '@skerry/model';
import type { BackendEvent, BootRequest } from './backend.ts';

/** Names and contents: of files, or of what a process keeps in memory. */
export type Contents = ReadonlyMap<string, string>;

export interface SimulatedBoot {
  readonly request: BootRequest;
  report: BootReport;
  memory: Map<string, string>;
  frozen: boolean;
  usage: { cpuMs: number; networkInBytes: number; networkOutBytes: number };
}

export interface SimulatedDisk {
  report: DiskReport;
  files: Map<string, string>;
  /** Snapshot that the files still equal, because no boot has used them since. */
  equals: SnapshotId | undefined;
}

export interface SimulatedSnapshot {
  report: SnapshotReport;
  readonly files: Contents;
  readonly memory: Contents | undefined;
  /** Why its memory cannot be brought back. */
  damage?: string;
}

const peakBytes = 20_000_000;

export class SimulatedState {
  readonly disks: Map<DiskId, SimulatedDisk> = new Map();
  readonly boots: Map<BootId, SimulatedBoot> = new Map();
  readonly snapshots: Map<SnapshotId, SimulatedSnapshot> = new Map();
  readonly watchers: Set<(event: BackendEvent | undefined) => void> = new Set();

  disk(diskId: DiskId): SimulatedDisk {
    const disk = this.disks.get(diskId);
    if (disk === undefined)
      throw new Problem('not_found', `There is no disk "${diskId}"`, { reason: 'disk_not_found' });
    return disk;
  }

  boot(bootId: BootId): SimulatedBoot {
    const boot = this.boots.get(bootId);
    if (boot === undefined)
      throw new Problem('not_found', `There is no boot "${bootId}"`, { reason: 'boot_not_found' });
    return boot;
  }

  snapshot(snapshotId: SnapshotId): SimulatedSnapshot {
    const snapshot = this.snapshots.get(snapshotId);
    if (snapshot === undefined)
      throw new Problem('not_found', `There is no snapshot "${snapshotId}"`, { reason: 'snapshot_not_found' });
    return snapshot;
  }

  /** The boot of a disk that has not ended. */
  aliveOn(diskId: DiskId): SimulatedBoot | undefined {
    return [...this.boots.values()].find((boot) => boot.report.diskId === diskId && boot.report.state !== 'ended');
  }

  /** Takes over what changed of a boot, and tells the watchers. */
  update(bootId: BootId, patch: Partial<BootReport>): void {
    const boot = this.boot(bootId);
    boot.report = { ...boot.report, ...patch };
    this.tell({ type: 'boot', boot: boot.report });
  }

  /** Ends a boot; one that has ended stays as it is. Its memory is gone, its files are not. */
  end(bootId: BootId, reason: ExitReason, detail: string): void {
    const boot = this.boot(bootId);
    if (boot.report.state === 'ended') return;
    const { address: _, ...report } = boot.report;
    const exit: BootExit = { reason, detail, atMs: Date.now() };
    boot.report = { ...report, state: 'ended', exit, usage: { ...boot.usage, memoryPeakBytes: peakBytes } };
    boot.memory.clear();
    boot.frozen = false;
    this.tell({ type: 'boot', boot: boot.report });
  }

  tell(event: BackendEvent): void {
    for (const tell of this.watchers) tell(event);
  }
}
