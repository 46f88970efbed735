/** What the store's tests are run with: each of them on SQLite, and on Postgres where the suite gives one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultRest, newId, type ProjectId, randomLabel } from '@skerry/model';
import pg from 'pg';
import type { SandboxRecord } from '../sandbox-record.ts';
import type { SnapshotRecord } from '../snapshot-record.ts';
import { openStore, type Store, type StoreLocation } from '../store.ts';

const postgres = process.env['SKERRY_TEST_POSTGRES'];

/** Declares a test for each database that is there. */
export function testStore(name: string, work: (store: Store, location: StoreLocation) => Promise<void>): void {
  test(`${name} (SQLite)`, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'skerry-store-'));
    try {
      await run({ dialect: 'sqlite', file: join(directory, 'skerry.db') }, work);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
  if (postgres === undefined) return;
  test(`${name} (Postgres)`, async () => {
    const schema = `test_${randomLabel(12)}`;
    try {
      await run({ dialect: 'postgres', connectionString: postgres, schema }, work);
    } finally {
      const client = new pg.Client({ connectionString: postgres });
      await client.connect();
      await client.query(`drop schema if exists ${schema} cascade`);
      await client.end();
    }
  });
}

async function run(
  location: StoreLocation,
  work: (store: Store, location: StoreLocation) => Promise<void>,
): Promise<void> {
  await using store = await openStore(location);
  await work(store, location);
}

let clockMs = 1_700_000_000_000;

/** A running sandbox's record, with what a test wants otherwise. */
export function sandboxRecord(projectId: ProjectId, patch: Partial<SandboxRecord> = {}): SandboxRecord {
  const atMs = clockMs++;
  return {
    id: newId('sandbox'),
    projectId,
    name: `box-${randomLabel(8)}`,
    kind: 'persistent',
    desired: 'running',
    desiredReason: 'requested',
    observed: 'running',
    generation: 1,
    resources: { cpus: 2, memoryMiB: 256, diskMiB: 1024 },
    env: {},
    labels: {},
    template: 'base',
    image: 'base',
    user: 'user',
    workdir: null,
    isolation: 'any',
    diskId: newId('disk'),
    bootId: null,
    everRan: true,
    failure: null,
    lastExit: null,
    engine: null,
    graceMs: 0,
    ownerStale: false,
    timeoutAtMs: null,
    onTimeout: 'stop',
    sourceSnapshotId: null,
    pointId: null,
    restoreAs: 'resume',
    savingId: null,
    pauseMemory: true,
    oldPointId: null,
    rollbackTo: null,
    rollbackMemory: false,
    dropDiskId: null,
    parentSnapshotId: null,
    resume: null,
    pausedAtMs: null,
    rest: defaultRest.persistent,
    frozen: false,
    lastUsedAtMs: atMs,
    startedAtMs: null,
    createdAtMs: atMs,
    deletedAtMs: null,
    version: 1,
    ...patch,
  };
}

/** A ready snapshot's record, with what a test wants otherwise. */
export function snapshotRecord(sandbox: SandboxRecord, patch: Partial<SnapshotRecord> = {}): SnapshotRecord {
  const { image, template, resources, env, user, workdir, isolation } = sandbox;
  return {
    id: newId('snapshot'),
    projectId: sandbox.projectId,
    sandboxId: sandbox.id,
    sandboxName: sandbox.name,
    name: null,
    kind: 'memory',
    origin: 'user',
    status: 'ready',
    parentId: null,
    spec: { image, template, resources, env, user, workdir, isolation },
    engine: null,
    guestDigest: null,
    memoryUnusable: null,
    diskBytes: 0,
    exclusiveBytes: 0,
    memoryBytes: 0,
    stallMs: null,
    ownerStale: false,
    keepLast: null,
    createdAtMs: clockMs++,
    expiresAtMs: null,
    version: 1,
    ...patch,
  };
}
