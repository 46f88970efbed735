import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { amend } from './amend.ts';
import { expireTimeouts } from './reconcilers/expiry.ts';
import { TestInstance } from './testing/instance.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
beforeEach(() => skerry.backend.faults.clear());
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

/** Makes the timeout of a sandbox be over, as if the time had passed. */
async function overdue(id: string): Promise<void> {
  await amend(skerry.server.core, id as SandboxRecord['id'], () => ({ patch: { timeoutAtMs: Date.now() - 1 } }));
  await expireTimeouts(skerry.server.core);
}
const drop = (id: string) => skerry.api('DELETE', `/v1/sandboxes/${id}`);

test('each action happens when the time is over, and the timeout is then done', async () => {
  for (const [onTimeout, status] of [
    ['pause', 'paused'],
    ['stop', 'stopped'],
    ['delete', 'deleted'],
  ] as const) {
    const { id } = await skerry.create({ timeoutMs: 3_600_000, onTimeout });
    await overdue(id);
    const after = await skerry.until(id, status);
    assert.deepEqual([after.reason, after.timeoutAt], ['timeout', undefined]);
    assert.ok((await skerry.events(id)).includes('timeout'));
    if (status !== 'deleted') await drop(id);
  }
});

test('a timeout stays what it was over pauses, resumes and restarts, and passes while the server is down', async () => {
  const { id, timeoutAt } = await skerry.create({ timeoutMs: 3_600_000, onTimeout: 'pause' });
  assert.ok(timeoutAt !== undefined);
  await skerry.act(id, 'pause');
  assert.equal((await skerry.get(id)).timeoutAt, timeoutAt);
  await skerry.down();
  await skerry.up();
  assert.equal((await skerry.act(id, 'resume')).timeoutAt, timeoutAt);
  await amend(skerry.server.core, id as SandboxRecord['id'], () => ({ patch: { timeoutAtMs: Date.now() + 100 } }));
  await skerry.down();
  await new Promise((resolve) => setTimeout(resolve, 150));
  await skerry.up();
  assert.equal((await skerry.until(id, 'paused')).reason, 'timeout');
  await drop(id);
});

test('a timeout that ends a paused sandbox: pause leaves it so, stop drops its memory, delete deletes it', async () => {
  for (const [onTimeout, status] of [
    ['pause', 'paused'],
    ['stop', 'stopped'],
    ['delete', 'deleted'],
  ] as const) {
    const { id } = await skerry.create({ timeoutMs: 3_600_000, onTimeout });
    await skerry.act(id, 'pause');
    await overdue(id);
    assert.equal((await skerry.until(id, status)).timeoutAt, undefined);
    await drop(id);
  }
  await skerry.settle();
  assert.deepEqual(skerry.backend.contents.snapshots, []);
});

test('a pause at the end of a timeout that fails is not forgotten', async () => {
  const { id } = await skerry.create({ timeoutMs: 3_600_000, onTimeout: 'pause' });
  const problem = new Problem('exhausted', 'The disk is full', { reason: 'host_disk_full', exhaustion: 'disk' });
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'before', problem });
  await overdue(id);
  await skerry.server.core.drives.idle();
  const after = await skerry.get(id);
  assert.deepEqual([after.status, after.onTimeout], ['running', 'pause']);
  assert.ok(after.timeoutAt !== undefined && Date.parse(after.timeoutAt) > Date.now());
  await overdue(id);
  await skerry.until(id, 'paused');
  await drop(id);
});

test('a timeout of an ephemeral sandbox deletes it, and null takes a timeout away', async () => {
  const { id } = await skerry.create({ kind: 'ephemeral', timeoutMs: 3_600_000, onTimeout: 'pause' });
  await overdue(id);
  await skerry.until(id, 'deleted');
  const kept = await skerry.create({ timeoutMs: 3_600_000 });
  const cleared = await skerry.api('PATCH', `/v1/sandboxes/${kept.id}`, { timeoutMs: null, onTimeout: 'pause' });
  assert.deepEqual([cleared.body['timeoutAt'], cleared.body['onTimeout']], [undefined, 'pause']);
  await drop(kept.id);
});
