import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog } from '@skerry/kit';
import { newId } from '@skerry/model';
import { GuestLogs } from './guest-logs.ts';

test('read() gives the end of what the newest boots printed, and old boots are forgotten', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'skerry-logs-'));
  using logs = new GuestLogs(directory, createLog('test', 'error'));
  try {
    const diskId = newId('disk');
    assert.equal(await logs.read(diskId, 100), '');
    for (let boot = 1; boot <= 5; boot++)
      await appendFile(await logs.prepare(diskId, newId('boot'), boot), `boot ${boot}\n`);
    assert.equal(await logs.read(diskId, 100), 'boot 3\nboot 4\nboot 5\n');
    assert.equal(await logs.read(diskId, 9), '4\nboot 5\n');
    await logs.forget(diskId);
    assert.deepEqual(await readdir(directory), []);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('sweep() keeps a file small that a guest appends to without end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'skerry-logs-'));
  using logs = new GuestLogs(directory, createLog('test', 'error'));
  try {
    const diskId = newId('disk');
    const path = await logs.prepare(diskId, newId('boot'), 1);
    for (let round = 0; round < 3; round++) {
      await appendFile(path, Buffer.alloc(9 * 1024 * 1024, 'x'));
      await logs.sweep();
      assert.equal((await stat(path)).size, 0);
    }
    await appendFile(path, 'the end');
    assert.match(await logs.read(diskId, 20), /^x{13}the end$/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
