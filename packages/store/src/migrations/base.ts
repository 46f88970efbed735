import type { Migration } from './migration.ts';

/** Migration 1: projects, keys, sandboxes, boots, events, idempotency. */
export const base: Migration = (dialect) => [
  `create table projects (id text primary key, name text not null, created_at bigint not null)`,
  `create table api_keys (
    id text primary key, project_id text not null references projects (id), name text not null, role text not null, hash text not null unique,
    hint text not null, created_at bigint not null, expires_at bigint, revoked_at bigint)`,
  `create index api_keys_of_project on api_keys (project_id, created_at, id)`,
  `create table sandboxes (
    id text primary key, project_id text not null references projects (id), name text not null, kind text not null, desired text not null,
    desired_reason text not null, observed text not null, status text not null, generation integer not null, cpus double precision not null,
    memory_mib integer not null, disk_mib integer not null, env text not null, labels text not null, template text not null,
    image text not null, guest_user text not null, workdir text, isolation text not null, disk_id text not null unique, boot_id text,
    ever_ran integer not null, failure text, last_exit text, engine text, grace_ms integer not null, owner_stale integer not null,
    timeout_at bigint, on_timeout text not null, last_used_at bigint not null, started_at bigint, created_at bigint not null,
    deleted_at bigint, version integer not null)`,
  `create unique index sandboxes_name on sandboxes (project_id, name) where desired <> 'deleted'`,
  `create index sandboxes_by_name on sandboxes (project_id, name, created_at desc)`,
  `create index sandboxes_newest on sandboxes (project_id, created_at desc, id desc) where observed <> 'gone'`,
  `create index sandboxes_by_status on sandboxes (project_id, status, created_at desc, id desc)`,
  `create index sandboxes_working on sandboxes (last_used_at) where observed not in ('gone', 'ready')`,
  `create index sandboxes_desired on sandboxes (desired, last_used_at) where observed <> 'gone'`,
  `create index sandboxes_timeout on sandboxes (timeout_at) where timeout_at is not null and observed <> 'gone'`,
  `create index sandboxes_gone on sandboxes (deleted_at) where observed = 'gone'`,
  `create table sandbox_labels (
    sandbox_id text not null references sandboxes (id) on delete cascade, key text not null, value text not null, primary key (sandbox_id, key))`,
  `create index sandbox_labels_value on sandbox_labels (key, value, sandbox_id)`,
  `create table boots (
    id text primary key, sandbox_id text not null references sandboxes (id) on delete cascade, disk_id text not null, generation integer not null,
    address text, created_at bigint not null, ended_at bigint, exit_reason text, exit text, usage text)`,
  `create index boots_of_sandbox on boots (sandbox_id, created_at)`,
  dialect === 'sqlite'
    ? `create table events (sequence integer primary key autoincrement, id text not null unique, project_id text not null, sandbox_id text not null
        references sandboxes (id) on delete cascade, type text not null, at bigint not null, reason text, message text not null, data text not null)`
    : `create table events (sequence bigint generated always as identity primary key, id text not null unique, project_id text not null, sandbox_id text
        not null references sandboxes (id) on delete cascade, type text not null, at bigint not null, reason text, message text not null, data text not null)`,
  `create index events_of_project on events (project_id, sequence)`,
  `create index events_of_sandbox on events (sandbox_id, sequence)`,
  `create table idempotency (
    project_id text not null references projects (id), key text not null, request_hash text not null, target text not null,
    created_at bigint not null, primary key (project_id, key))`,
  `create index idempotency_age on idempotency (created_at)`,
];
