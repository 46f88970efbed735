import {
  type BootExit,
  type BootId,
  type DiskId,
  type EngineIdentity,
  type Exhaustion,
  type Isolation,
  type ObservedState,
  type DesiredState,
  type ProblemCode,
  type ProjectId,
  type Resources,
  type RestPolicy,
  type ResumeStory,
  type SandboxFailure,
  type SandboxId,
  type SandboxKind,
  type SandboxStatus,
  sandboxStatus,
  type SnapshotId,
  type TimeoutAction,
} from '@skerry/model';
import type { Selectable } from 'kysely';
import type { SandboxesTable } from './tables.ts';

/** A failure as the store keeps it: with the class of the problem that it came from. */
export interface StoredFailure extends SandboxFailure {
  readonly code: ProblemCode;
  readonly exhaustion?: Exhaustion;
}

/** A sandbox: its durable identity, what should be and what is. */
export interface SandboxRecord {
  readonly id: SandboxId;
  readonly projectId: ProjectId;
  readonly name: string;
  readonly kind: SandboxKind;
  readonly desired: DesiredState;
  readonly desiredReason: string;
  readonly observed: ObservedState;
  readonly generation: number;
  readonly resources: Resources;
  /** Holds secrets: emptied when the sandbox is gone. */
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly template: string;
  readonly image: string;
  readonly user: string;
  readonly workdir: string | null;
  readonly isolation: Isolation | 'any';
  readonly diskId: DiskId;
  /** The boot that was asked for; recorded before it is started. */
  readonly bootId: BootId | null;
  readonly everRan: boolean;
  readonly failure: StoredFailure | null;
  readonly lastExit: BootExit | null;
  /** Which engine runs or last ran it. */
  readonly engine: EngineIdentity | null;
  /** How long the next halt may take before it kills, in `ms`. */
  readonly graceMs: number;
  /** Whether the owner blob beside the disk is behind this record. */
  readonly ownerStale: boolean;
  readonly timeoutAtMs: number | null;
  readonly onTimeout: TimeoutAction;
  /** Snapshot that its disk was made from. */
  readonly sourceSnapshotId: SnapshotId | null;
  /** Memory that the next boot goes on from; the disk is as it was saved with it. */
  readonly pointId: SnapshotId | null;
  /** Why that memory is brought back: as this sandbox, or as another one than the one that was saved. */
  readonly restoreAs: 'resume' | 'fork';
  /** The pause point that is being made; recorded before it is asked for. */
  readonly savingId: SnapshotId | null;
  /** Whether the pause that is wanted saves memory. */
  readonly pauseMemory: boolean;
  /** The rest point before the present state; deleted when the next one is complete. */
  readonly oldPointId: SnapshotId | null;
  /** Snapshot that the disk is to be replaced by. */
  readonly rollbackTo: SnapshotId | null;
  /** Whether the boot after that goes on from its memory too. */
  readonly rollbackMemory: boolean;
  /** Disk that a rollback replaced, or was about to replace by; to be deleted. */
  readonly dropDiskId: DiskId | null;
  /** Newest kept snapshot that its present state comes from. */
  readonly parentSnapshotId: SnapshotId | null;
  /** How it last came back from saved memory. */
  readonly resume: ResumeStory | null;
  readonly pausedAtMs: number | null;
  readonly rest: RestPolicy;
  /** Whether it rests in RAM. */
  readonly frozen: boolean;
  readonly lastUsedAtMs: number;
  /** Start of the boot that runs now. */
  readonly startedAtMs: number | null;
  readonly createdAtMs: number;
  readonly deletedAtMs: number | null;
  /** Counts the writes of this record. */
  readonly version: number;
}

/** The status of a record and its reason. */
export function statusOf(record: SandboxRecord): { readonly status: SandboxStatus; readonly reason: string } {
  return sandboxStatus({
    desired: record.desired,
    observed: record.observed,
    everRan: record.everRan,
    hasPoint: record.pointId !== null,
    desiredReason: record.desiredReason,
    ...(record.failure === null ? {} : { failure: record.failure }),
    ...(record.lastExit === null ? {} : { lastExit: record.lastExit }),
  });
}

const orNull = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
const orNothing = <T>(text: string | null): T | null => (text === null ? null : (JSON.parse(text) as T));

export function toRow(record: SandboxRecord): SandboxesTable {
  return {
    id: record.id,
    project_id: record.projectId,
    name: record.name,
    kind: record.kind,
    desired: record.desired,
    desired_reason: record.desiredReason,
    observed: record.observed,
    status: statusOf(record).status,
    generation: record.generation,
    cpus: record.resources.cpus,
    memory_mib: record.resources.memoryMiB,
    disk_mib: record.resources.diskMiB,
    env: JSON.stringify(record.env),
    labels: JSON.stringify(record.labels),
    template: record.template,
    image: record.image,
    guest_user: record.user,
    workdir: record.workdir,
    isolation: record.isolation,
    disk_id: record.diskId,
    boot_id: record.bootId,
    ever_ran: record.everRan ? 1 : 0,
    failure: orNull(record.failure),
    last_exit: orNull(record.lastExit),
    engine: orNull(record.engine),
    grace_ms: record.graceMs,
    owner_stale: record.ownerStale ? 1 : 0,
    timeout_at: record.timeoutAtMs,
    on_timeout: record.onTimeout,
    source_snapshot_id: record.sourceSnapshotId,
    point_id: record.pointId,
    restore_as: record.restoreAs,
    saving_id: record.savingId,
    pause_memory: record.pauseMemory ? 1 : 0,
    old_point_id: record.oldPointId,
    rollback_to: record.rollbackTo,
    rollback_memory: record.rollbackMemory ? 1 : 0,
    drop_disk_id: record.dropDiskId,
    parent_snapshot_id: record.parentSnapshotId,
    resume: orNull(record.resume),
    paused_at: record.pausedAtMs,
    rest: JSON.stringify(record.rest),
    frozen: record.frozen ? 1 : 0,
    last_used_at: record.lastUsedAtMs,
    started_at: record.startedAtMs,
    created_at: record.createdAtMs,
    deleted_at: record.deletedAtMs,
    version: record.version,
  };
}

export function fromRow(row: Selectable<SandboxesTable>): SandboxRecord {
  return {
    id: row.id as SandboxId,
    projectId: row.project_id as ProjectId,
    name: row.name,
    kind: row.kind as SandboxKind,
    desired: row.desired as DesiredState,
    desiredReason: row.desired_reason,
    observed: row.observed as ObservedState,
    generation: row.generation,
    resources: { cpus: row.cpus, memoryMiB: row.memory_mib, diskMiB: row.disk_mib },
    env: JSON.parse(row.env) as Record<string, string>,
    labels: JSON.parse(row.labels) as Record<string, string>,
    template: row.template,
    image: row.image,
    user: row.guest_user,
    workdir: row.workdir,
    isolation: row.isolation as Isolation | 'any',
    diskId: row.disk_id as DiskId,
    bootId: row.boot_id as BootId | null,
    everRan: row.ever_ran === 1,
    failure: orNothing(row.failure),
    lastExit: orNothing(row.last_exit),
    engine: orNothing(row.engine),
    graceMs: row.grace_ms,
    ownerStale: row.owner_stale === 1,
    timeoutAtMs: row.timeout_at,
    onTimeout: row.on_timeout as TimeoutAction,
    sourceSnapshotId: row.source_snapshot_id as SnapshotId | null,
    pointId: row.point_id as SnapshotId | null,
    restoreAs: row.restore_as as 'resume' | 'fork',
    savingId: row.saving_id as SnapshotId | null,
    pauseMemory: row.pause_memory === 1,
    oldPointId: row.old_point_id as SnapshotId | null,
    rollbackTo: row.rollback_to as SnapshotId | null,
    rollbackMemory: row.rollback_memory === 1,
    dropDiskId: row.drop_disk_id as DiskId | null,
    parentSnapshotId: row.parent_snapshot_id as SnapshotId | null,
    resume: orNothing<ResumeStory>(row.resume),
    pausedAtMs: row.paused_at,
    rest: JSON.parse(row.rest) as RestPolicy,
    frozen: row.frozen === 1,
    lastUsedAtMs: row.last_used_at,
    startedAtMs: row.started_at,
    createdAtMs: row.created_at,
    deletedAtMs: row.deleted_at,
    version: row.version,
  };
}
