import type { Generated } from 'kysely';

/** Booleans are 0 or 1, times are Unix `ms`, and JSON is text: one schema for SQLite and Postgres. */
export interface Tables {
  readonly projects: ProjectsTable;
  readonly api_keys: KeysTable;
  readonly sandboxes: SandboxesTable;
  readonly sandbox_labels: SandboxLabelsTable;
  readonly boots: BootsTable;
  readonly events: EventsTable;
  readonly idempotency: IdempotencyTable;
  readonly snapshots: SnapshotsTable;
  readonly activity: ActivityTable;
  readonly holds: HoldsTable;
}

interface ProjectsTable {
  id: string;
  name: string;
  created_at: number;
}

interface KeysTable {
  id: string;
  project_id: string;
  name: string;
  role: string;
  hash: string;
  hint: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

export interface SandboxesTable {
  id: string;
  project_id: string;
  name: string;
  kind: string;
  desired: string;
  desired_reason: string;
  observed: string;
  /** Made from the other columns at every write, so that lists can be filtered by it. */
  status: string;
  generation: number;
  cpus: number;
  memory_mib: number;
  disk_mib: number;
  env: string;
  labels: string;
  template: string;
  image: string;
  guest_user: string;
  workdir: string | null;
  isolation: string;
  disk_id: string;
  boot_id: string | null;
  ever_ran: number;
  failure: string | null;
  last_exit: string | null;
  engine: string | null;
  grace_ms: number;
  owner_stale: number;
  timeout_at: number | null;
  on_timeout: string;
  source_snapshot_id: string | null;
  point_id: string | null;
  restore_as: string;
  saving_id: string | null;
  pause_memory: number;
  old_point_id: string | null;
  rollback_to: string | null;
  rollback_memory: number;
  drop_disk_id: string | null;
  parent_snapshot_id: string | null;
  resume: string | null;
  paused_at: number | null;
  rest: string;
  frozen: number;
  last_used_at: number;
  started_at: number | null;
  created_at: number;
  deleted_at: number | null;
  version: number;
}

interface SandboxLabelsTable {
  sandbox_id: string;
  key: string;
  value: string;
}

export interface BootsTable {
  id: string;
  sandbox_id: string;
  disk_id: string;
  generation: number;
  address: string | null;
  created_at: number;
  ended_at: number | null;
  exit_reason: string | null;
  exit: string | null;
  usage: string | null;
}

export interface EventsTable {
  sequence: Generated<number>;
  id: string;
  project_id: string;
  sandbox_id: string;
  type: string;
  at: number;
  reason: string | null;
  message: string;
  data: string;
}

interface IdempotencyTable {
  project_id: string;
  key: string;
  request_hash: string;
  target: string;
  created_at: number;
}

export interface SnapshotsTable {
  id: string;
  project_id: string;
  sandbox_id: string;
  sandbox_name: string;
  name: string | null;
  kind: string;
  origin: string;
  status: string;
  parent_id: string | null;
  spec: string;
  engine: string | null;
  guest_digest: string | null;
  memory_unusable: string | null;
  disk_bytes: number;
  exclusive_bytes: number;
  memory_bytes: number;
  stall_ms: number | null;
  owner_stale: number;
  keep_last: number | null;
  created_at: number;
  expires_at: number | null;
  version: number;
}

export interface ActivityTable {
  sandbox_id: string;
  level: string;
  boot_id: string | null;
  accounted_at: number;
  level_since: number;
  awake_ms: number;
  frozen_ms: number;
  paused_ms: number;
  stopped_ms: number;
  woken_at: number | null;
  last_request_at: number | null;
  last_bytes_at: number | null;
  last_attached_at: number | null;
  last_stream_at: number | null;
  last_cpu_at: number | null;
  last_network_at: number | null;
  last_hold_at: number | null;
}

export interface HoldsTable {
  id: string;
  sandbox_id: string;
  reason: string;
  created_at: number;
  expires_at: number;
}
