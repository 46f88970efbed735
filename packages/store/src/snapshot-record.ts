import type {
  EngineIdentity,
  Isolation,
  ProjectId,
  Resources,
  SandboxId,
  SnapshotId,
  SnapshotKind,
  SnapshotOrigin,
  SnapshotStatus,
} from '@skerry/model';
import type { Selectable } from 'kysely';
import type { SnapshotsTable } from './tables.ts';

/** What a sandbox that is made from a snapshot takes over from the one that was saved. */
export interface SavedSpec {
  readonly image: string;
  readonly template: string;
  readonly resources: Resources;
  /** Holds secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir: string | null;
  readonly isolation: Isolation | 'any';
}

/** A snapshot: recorded before it is made. */
export interface SnapshotRecord {
  readonly id: SnapshotId;
  readonly projectId: ProjectId;
  readonly sandboxId: SandboxId;
  /** Name of the sandbox when it was made. */
  readonly sandboxName: string;
  /** Unique in the project until it is being deleted. */
  readonly name: string | null;
  readonly kind: SnapshotKind;
  readonly origin: SnapshotOrigin;
  readonly status: SnapshotStatus;
  /** The kept snapshot before it. */
  readonly parentId: SnapshotId | null;
  readonly spec: SavedSpec;
  readonly engine: EngineIdentity | null;
  readonly guestDigest: string | null;
  /** Why its memory cannot be brought back here. */
  readonly memoryUnusable: string | null;
  readonly diskBytes: number;
  readonly exclusiveBytes: number;
  readonly memoryBytes: number;
  readonly stallMs: number | null;
  /** Whether the owner blob beside it is behind this record. */
  readonly ownerStale: boolean;
  /** Once it is there, older ones of its sandbox without a name are deleted, but for so many. */
  readonly keepLast: number | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  /** Counts the writes of this record. */
  readonly version: number;
}

const orNull = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

export function toSnapshotRow(record: SnapshotRecord): SnapshotsTable {
  return {
    id: record.id,
    project_id: record.projectId,
    sandbox_id: record.sandboxId,
    sandbox_name: record.sandboxName,
    name: record.name,
    kind: record.kind,
    origin: record.origin,
    status: record.status,
    parent_id: record.parentId,
    spec: JSON.stringify(record.spec),
    engine: orNull(record.engine),
    guest_digest: record.guestDigest,
    memory_unusable: record.memoryUnusable,
    disk_bytes: record.diskBytes,
    exclusive_bytes: record.exclusiveBytes,
    memory_bytes: record.memoryBytes,
    stall_ms: record.stallMs,
    owner_stale: record.ownerStale ? 1 : 0,
    keep_last: record.keepLast,
    created_at: record.createdAtMs,
    expires_at: record.expiresAtMs,
    version: record.version,
  };
}

export function fromSnapshotRow(row: Selectable<SnapshotsTable>): SnapshotRecord {
  return {
    id: row.id as SnapshotId,
    projectId: row.project_id as ProjectId,
    sandboxId: row.sandbox_id as SandboxId,
    sandboxName: row.sandbox_name,
    name: row.name,
    kind: row.kind as SnapshotKind,
    origin: row.origin as SnapshotOrigin,
    status: row.status as SnapshotStatus,
    parentId: row.parent_id as SnapshotId | null,
    spec: JSON.parse(row.spec) as SavedSpec,
    engine: row.engine === null ? null : (JSON.parse(row.engine) as EngineIdentity),
    guestDigest: row.guest_digest,
    memoryUnusable: row.memory_unusable,
    diskBytes: row.disk_bytes,
    exclusiveBytes: row.exclusive_bytes,
    memoryBytes: row.memory_bytes,
    stallMs: row.stall_ms,
    ownerStale: row.owner_stale === 1,
    keepLast: row.keep_last,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    version: row.version,
  };
}
