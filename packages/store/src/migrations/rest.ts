import type { Migration } from './migration.ts';

/** Migration 3: when something last worked in a sandbox, how long it was at each level of rest, and what holds it awake. */
export const rest: Migration = () => [
  `create table activity (
    sandbox_id text primary key references sandboxes (id) on delete cascade, level text not null, boot_id text, accounted_at bigint not null,
    level_since bigint not null, awake_ms bigint not null, frozen_ms bigint not null, paused_ms bigint not null, stopped_ms bigint not null,
    woken_at bigint, last_request_at bigint, last_bytes_at bigint, last_attached_at bigint, last_stream_at bigint, last_cpu_at bigint,
    last_network_at bigint, last_hold_at bigint)`,
  `create table holds (
    id text primary key, sandbox_id text not null references sandboxes (id) on delete cascade, reason text not null,
    created_at bigint not null, expires_at bigint not null)`,
  `create index holds_of_sandbox on holds (sandbox_id, expires_at)`,
  `create index holds_expiry on holds (expires_at)`,
];
