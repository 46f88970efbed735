import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { SandboxId } from '@skerry/model';
import { openStore } from '../store.ts';
import { testStore } from '../testing/test-store.ts';
import { base } from './base.ts';

testStore('openStore() opens again what it made', async (store, location) => {
  const project = await store.projects.create('p', 1);
  await using again = await openStore(location);
  assert.equal(await again.projects.first(2), project);
});

test('a database of schema 1 keeps its sandboxes, which do not begin to rest by themselves', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'skerry-store-'));
  try {
    const file = join(directory, 'skerry.db');
    const database = new DatabaseSync(file);
    for (const statement of base('sqlite')) database.exec(statement);
    database.exec(`create table skerry_schema (version integer not null); insert into skerry_schema values (1);
      insert into projects values ('pj0', 'p', 1);
      insert into sandboxes values ('sb0', 'pj0', 'old', 'persistent', 'running', 'requested', 'running', 'running', 1, 2, 256, 1024, '{}', '{}', 'base',
        'base', 'user', null, 'any', 'dk0', 'bt0', 1, null, null, null, 0, 0, null, 'stop', 1, 1, 1, null, 1)`);
    database.close();
    await using store = await openStore({ dialect: 'sqlite', file });
    const record = await store.sandboxes.find('sb0' as SandboxId);
    assert.deepEqual(
      [record?.name, record?.rest.afterMs, record?.pointId, record?.frozen, record?.pauseMemory],
      ['old', null, null, false, true],
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('openStore() refuses a database that is newer than this program', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'skerry-store-'));
  try {
    const file = join(directory, 'skerry.db');
    const database = new DatabaseSync(file);
    database.exec('create table skerry_schema (version integer not null); insert into skerry_schema values (1000)');
    database.close();
    await assert.rejects(openStore({ dialect: 'sqlite', file }), { reason: 'schema_too_new' });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
