import {
  type BootReport,
  type DiskReport,
  newId,
  Problem,
  type ProjectId,
  type SandboxId,
  type SnapshotReport,
} from '@skerry/model';
import type { RecoverAnswer } from '@skerry/protocol';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';
import { type ImageFacts, sandboxOfDisk, snapshotOf } from './manifests.ts';

/** The rows of a new database. */
export interface RecoveryPlan {
  /** The one whose key is the instance's first comes first. */
  readonly projects: readonly ProjectId[];
  readonly sandboxes: readonly SandboxRecord[];
  /** Boots that still run, of the sandboxes that have one. */
  readonly boots: readonly BootReport[];
  readonly snapshots: readonly SnapshotRecord[];
  readonly lost: RecoverAnswer['lost'];
}

/** What the host keeps. */
export interface Kept {
  readonly disks: readonly DiskReport[];
  readonly snapshots: readonly SnapshotReport[];
  readonly boots: readonly BootReport[];
  readonly imageOf: (name: string) => ImageFacts;
}

/**
 * Works out what the database held. Nothing that is on disk is left without a row that wants it, but for what was about to be deleted anyway: what
 * an unfinished fork or export used, and pause points that a newer one has replaced.
 */
export function planRecovery({ disks, snapshots, boots, imageOf }: Kept): RecoveryPlan {
  const lost: { kind: 'disk' | 'snapshot'; id: string; why: string }[] = [];
  const orLost = <T>(kind: 'disk' | 'snapshot', id: string, read: () => T): T[] => {
    try {
      return [read()];
    } catch (error) {
      lost.push({ kind, id, why: Problem.from(error).message });
      return [];
    }
  };
  const saved = snapshots.flatMap((report) => orLost('snapshot', report.snapshotId, () => snapshotOf(report, imageOf)));
  const alive = boots.filter(({ state, address }) => state === 'running' && address !== undefined);
  const points = newestPoints(saved);
  const taken = new Set<SandboxId>();
  const names = new Set<string>();
  const sandboxes: SandboxRecord[] = [];
  // Of two disks of one sandbox, as in the middle of a rollback, the one with a boot is its own, then the older: it is whole until the swap.
  const ordered = [...disks].sort(
    (a, b) => Number(runsOn(alive, b)) - Number(runsOn(alive, a)) || a.createdAtMs - b.createdAtMs,
  );
  for (const disk of ordered)
    for (const read of orLost('disk', disk.diskId, () => sandboxOfDisk(disk, imageOf))) {
      const boot = alive.find(({ diskId }) => diskId === disk.diskId);
      const second = taken.has(read.id);
      taken.add(read.id);
      const point = second ? undefined : points.get(read.id);
      const name = freeName(names, read.projectId, read.name);
      sandboxes.push({
        ...read,
        name,
        version: 1,
        ownerStale: second || name !== read.name,
        ...(second ? { id: newId('sandbox') } : {}),
        ...stateOf(read, boot, point),
      });
    }
  const kept = new Set([...points.values()].map(({ id }) => id));
  return {
    projects: projectsOf(sandboxes, saved),
    sandboxes,
    boots: alive.filter(({ bootId }) => sandboxes.some((sandbox) => sandbox.bootId === bootId)),
    snapshots: withFreeNames(saved).map((snapshot) => ({
      ...snapshot,
      status: passing(snapshot) && !kept.has(snapshot.id) ? ('deleting' as const) : snapshot.status,
    })),
    lost,
  };
}

const passing = ({ origin }: SnapshotRecord): boolean => origin === 'pause' || origin === 'fork' || origin === 'export';
const runsOn = (alive: readonly BootReport[], disk: DiskReport): boolean =>
  alive.some(({ diskId }) => diskId === disk.diskId);

/** The newest pause point of each sandbox. */
function newestPoints(snapshots: readonly SnapshotRecord[]): Map<SandboxId, SnapshotRecord> {
  const points = new Map<SandboxId, SnapshotRecord>();
  for (const snapshot of snapshots) {
    const known = points.get(snapshot.sandboxId);
    if (snapshot.origin === 'pause' && (known === undefined || snapshot.createdAtMs > known.createdAtMs))
      points.set(snapshot.sandboxId, snapshot);
  }
  return points;
}

/** What it should be and is. A point that the disk no longer equals is refused by the host at the resume, which then goes on from the disk. */
function stateOf(
  read: Pick<SandboxRecord, 'kind' | 'createdAtMs'>,
  boot: BootReport | undefined,
  point: SnapshotRecord | undefined,
): Partial<SandboxRecord> {
  if (boot !== undefined)
    return {
      desired: 'running',
      observed: 'running',
      bootId: boot.bootId,
      engine: boot.engine,
      startedAtMs: boot.startedAtMs,
      lastUsedAtMs: boot.startedAtMs,
      oldPointId: point?.id ?? null,
    };
  // The end of an ephemeral sandbox is its deletion, and nothing of it runs any more.
  if (read.kind === 'ephemeral') return { desired: 'deleted', graceMs: 0 };
  if (point === undefined || point.kind !== 'memory') return {};
  return {
    desired: 'paused',
    pointId: point.id,
    pausedAtMs: point.createdAtMs,
    engine: point.engine,
    lastUsedAtMs: point.createdAtMs,
    parentSnapshotId: point.parentId,
  };
}

/** The project with the most sandboxes and snapshots first. */
function projectsOf(sandboxes: readonly SandboxRecord[], snapshots: readonly SnapshotRecord[]): ProjectId[] {
  const counts = new Map<ProjectId, number>();
  for (const { projectId } of [...sandboxes, ...snapshots]) counts.set(projectId, (counts.get(projectId) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([id]) => id);
}

function freeName(names: Set<string>, projectId: ProjectId, wanted: string): string {
  for (let number = 1; ; number++) {
    const suffix = number === 1 ? '' : `-${number}`;
    const name = `${wanted.slice(0, 63 - suffix.length)}${suffix}`;
    if (names.has(`${projectId}/${name}`)) continue;
    names.add(`${projectId}/${name}`);
    return name;
  }
}

function withFreeNames(snapshots: readonly SnapshotRecord[]): SnapshotRecord[] {
  const names = new Set<string>();
  return snapshots.map((snapshot) => {
    if (snapshot.name === null) return snapshot;
    const name = freeName(names, snapshot.projectId, snapshot.name);
    return { ...snapshot, name, ownerStale: name !== snapshot.name };
  });
}
