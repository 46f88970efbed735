import type { Migration } from './migration.ts';

/** Migration 2: snapshots, and what a sandbox knows of its saved memory and of how it rests. */
export const memory: Migration = () => [
  ...[
    'source_snapshot_id text',
    'point_id text',
    `restore_as text not null default 'resume'`,
    'saving_id text',
    'pause_memory integer not null default 1',
    'old_point_id text',
    'rollback_to text',
    'rollback_memory integer not null default 0',
    'drop_disk_id text',
    'parent_snapshot_id text',
    'resume text',
    'paused_at bigint',
    // What was made before sandboxes rested by themselves goes on as it was promised: it does not.
    `rest text not null default '{"afterMs":null,"action":"pause","wakeOn":"request","expireAfterMs":null}'`,
    'frozen integer not null default 0',
  ].map((column) => `alter table sandboxes add column ${column}`),
  `create index sandboxes_parent on sandboxes (parent_snapshot_id) where parent_snapshot_id is not null`,
  `create index sandboxes_point on sandboxes (point_id) where point_id is not null`,
  `create index sandboxes_source on sandboxes (source_snapshot_id) where source_snapshot_id is not null`,
  `create index sandboxes_rollback on sandboxes (rollback_to) where rollback_to is not null`,
  `create table snapshots (
    id text primary key, project_id text not null references projects (id), sandbox_id text not null, sandbox_name text not null, name text,
    kind text not null, origin text not null, status text not null, parent_id text, spec text not null, engine text, guest_digest text,
    memory_unusable text, disk_bytes bigint not null, exclusive_bytes bigint not null, memory_bytes bigint not null, stall_ms bigint,
    owner_stale integer not null, keep_last integer, created_at bigint not null, expires_at bigint, version integer not null)`,
  `create unique index snapshots_name on snapshots (project_id, name) where name is not null and status <> 'deleting'`,
  `create index snapshots_newest on snapshots (project_id, created_at desc, id desc)`,
  `create index snapshots_of_sandbox on snapshots (sandbox_id, created_at desc, id desc)`,
  `create index snapshots_parent on snapshots (parent_id) where parent_id is not null`,
  `create index snapshots_unsettled on snapshots (status, created_at) where status <> 'ready'`,
  `create index snapshots_forks on snapshots (created_at) where origin = 'fork'`,
  `create index snapshots_stale on snapshots (id) where owner_stale = 1`,
  `create index snapshots_expiry on snapshots (expires_at) where expires_at is not null`,
];
