import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { refuseLostDatabase, setDatabaseAside, UnfinishedRecovery } from './recover.ts';

async function withDataDir(work: (dataDir: string, serverDir: string) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'recover-'));
  try {
    await mkdir(join(dataDir, 'server'));
    await work(dataDir, join(dataDir, 'server'));
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

test('setDatabaseAside() keeps the old database with its log, under one name', async () => {
  await withDataDir(async (_, serverDir) => {
    assert.equal(await setDatabaseAside(serverDir), undefined);
    for (const name of ['skerry.db', 'skerry.db-wal', 'other']) await writeFile(join(serverDir, name), name);
    const aside = await setDatabaseAside(serverDir);
    assert.match(aside ?? '', /aside-.*\.skerry\.db$/);
    const left = (await readdir(serverDir)).toSorted();
    assert.equal(left.length, 3);
    assert.ok(left.includes('other') && left.every((name) => !name.startsWith('skerry.db')));
  });
});

test('refuseLostDatabase() lets a new instance start, and none whose database is gone or half made', async () => {
  await withDataDir(async (dataDir, serverDir) => {
    await refuseLostDatabase(dataDir, serverDir, false);
    await assert.rejects(refuseLostDatabase(dataDir, serverDir, true), { reason: 'database_missing' });
    await writeFile(join(serverDir, 'skerry.db'), '');
    await refuseLostDatabase(dataDir, serverDir, true);
    const unfinished = new UnfinishedRecovery(dataDir);
    await unfinished.begin();
    await assert.rejects(refuseLostDatabase(dataDir, serverDir, true), { reason: 'recovery_unfinished' });
    await unfinished.end();
    await refuseLostDatabase(dataDir, serverDir, true);
  });
});
