import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Problem } from '@skerry/model';
import { restAll } from './admin-api/rest.ts';
import { TestInstance } from './testing/instance.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
beforeEach(() => {
  skerry.backend.faults.clear();
  skerry.backend.restoreFailure = undefined;
  skerry.backend.startFailure = undefined;
  skerry.backend.saveMs = 0;
  skerry.backend.bootMs = 0;
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

const diskFull = new Problem('exhausted', 'The disk is full', { reason: 'host_disk_full', exhaustion: 'disk' });
const pointsOf = (id: string) =>
  skerry.backend.contents.snapshots.filter((one) => one.sandboxId === id).map((one) => one.snapshotId);

test('a paused sandbox has no boot, and goes on where it was: memory and files, in a new boot', async () => {
  const { id } = await skerry.create({ name: 'work' });
  const first = skerry.bootOf(id);
  skerry.backend.write(first, 'memory', 'counter', '41');
  skerry.backend.write(first, 'file', '/f', 'kept');
  const paused = await skerry.act('work', 'pause');
  assert.equal(paused.status, 'paused');
  assert.ok(paused.pausedAt !== undefined && paused.lastExit?.reason === 'paused');
  assert.deepEqual([skerry.backend.contents.boots.length, pointsOf(id).length], [0, 1]);
  assert.equal((await skerry.act('work', 'pause')).status, 'paused');

  await skerry.down();
  await skerry.up();
  assert.equal((await skerry.get('work')).status, 'paused');
  const resumed = await skerry.act('work', 'resume');
  assert.deepEqual([resumed.status, resumed.resume?.from, resumed.pausedAt], ['running', 'memory', undefined]);
  const second = skerry.bootOf(id);
  assert.notEqual(second, first);
  assert.equal(skerry.backend.requestOf(second).restoreAs, 'resume');
  const { files, memory } = skerry.backend.read(second);
  assert.deepEqual([files.get('/f'), memory.get('counter')], ['kept', '41']);
  assert.equal((await skerry.act('work', 'resume')).status, 'running');
  assert.deepEqual(await skerry.events(id), [
    ...['created', 'starting', 'running', 'pausing', 'paused', 'resuming', 'resumed'],
  ]);
  await skerry.api('DELETE', '/v1/sandboxes/work');
  assert.deepEqual(skerry.backend.contents, { disks: [], boots: [], snapshots: [] });
});

test('the point before stays until the next rest point is complete, and then goes', async () => {
  const { id } = await skerry.create();
  await skerry.act(id, 'pause');
  const [first] = pointsOf(id);
  await skerry.act(id, 'resume');
  await skerry.settle();
  assert.deepEqual(pointsOf(id), [first]);
  await skerry.act(id, 'pause');
  await skerry.settle();
  const second = pointsOf(id);
  assert.ok(second.length === 1 && second[0] !== first, JSON.stringify(second));
  await skerry.act(id, 'resume');
  await skerry.act(id, 'stop');
  await skerry.settle();
  assert.deepEqual(pointsOf(id), []);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('start of a paused sandbox resumes it, and stop of one drops its memory', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  await skerry.act(id, 'pause');
  await skerry.act(id, 'start');
  assert.equal(skerry.backend.read(skerry.bootOf(id)).memory.get('a'), '1');
  await skerry.act(id, 'pause');
  assert.equal((await skerry.act(id, 'stop')).status, 'stopped');
  await skerry.settle();
  assert.deepEqual(pointsOf(id), []);
  const started = await skerry.act(id, 'start');
  assert.equal(started.resume?.from, 'memory');
  assert.equal(skerry.backend.read(skerry.bootOf(id)).memory.size, 0);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a pause without memory keeps the disk alone', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  skerry.backend.write(skerry.bootOf(id), 'file', '/f', '1');
  const paused = await skerry.act(id, 'pause', { memory: false });
  assert.deepEqual([paused.status, paused.lastExit?.reason, pointsOf(id)], ['paused', 'stopped', []]);
  const resumed = await skerry.act(id, 'resume');
  assert.equal(resumed.resume, undefined);
  const { files, memory } = skerry.backend.read(skerry.bootOf(id));
  assert.deepEqual([files.get('/f'), memory.size], ['1', 0]);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a pause asked for while it is being made lets it run first', async () => {
  skerry.backend.bootMs = 60;
  const made = await skerry.api('POST', '/v1/sandboxes?wait=0', {});
  const id = String(made.body['id']);
  const paused = await skerry.act(id, 'pause');
  assert.equal(paused.status, 'paused');
  assert.equal(pointsOf(id).length, 1);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('pauses at once are one pause, and a resume while it is saved comes after', async () => {
  skerry.backend.saveMs = 60;
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  const both = await Promise.all([skerry.act(id, 'pause'), skerry.act(id, 'pause')]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['paused', 'paused'],
  );
  assert.equal(pointsOf(id).length, 1);
  await skerry.act(id, 'resume');
  const pausing = skerry.api('POST', `/v1/sandboxes/${id}/pause`, {});
  await skerry.until(id, 'pausing');
  const resumed = await skerry.act(id, 'resume');
  assert.equal(resumed.status, 'running');
  const superseded = await pausing;
  assert.deepEqual([superseded.status, superseded.body['reason']], [409, 'superseded']);
  assert.equal(skerry.backend.read(skerry.bootOf(id)).memory.get('a'), '1');
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a pause that fails leaves the sandbox running, and the caller hears why', async () => {
  const { id } = await skerry.create();
  const boot = skerry.bootOf(id);
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'before', problem: diskFull });
  const answer = await skerry.api('POST', `/v1/sandboxes/${id}/pause`, {});
  assert.deepEqual([answer.status, answer.body['reason']], [507, 'host_disk_full']);
  const after = await skerry.get(id);
  assert.deepEqual([after.status, skerry.bootOf(id)], ['running', boot]);
  assert.ok((await skerry.events(id)).includes('pause_failed'));
  await skerry.settle();
  assert.deepEqual(await skerry.store.snapshots.listAll(), []);
  assert.equal((await skerry.act(id, 'pause')).status, 'paused');
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a host that is away for a while only delays a pause', async () => {
  const { id } = await skerry.create();
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'before', times: 2 });
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'after', skip: 1 });
  assert.equal((await skerry.act(id, 'pause')).status, 'paused');
  assert.equal(pointsOf(id).length, 1);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a boot that ends by itself while it is being paused is no pause with memory', async () => {
  skerry.backend.saveMs = 80;
  const { id } = await skerry.create();
  const pausing = skerry.api('POST', `/v1/sandboxes/${id}/pause`, {});
  await skerry.until(id, 'pausing');
  skerry.backend.endSpontaneously(skerry.bootOf(id), 'killed');
  const answer = await pausing;
  assert.deepEqual([answer.status, answer.body['reason']], [409, 'boot_ended']);
  await skerry.until(id, 'running');
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('memory that cannot be brought back: it comes back from disk and says what was lost, and nothing is deleted', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'file', '/f', '1');
  await skerry.act(id, 'pause');
  const [point] = skerry.backend.contents.snapshots.filter((one) => one.sandboxId === id);
  assert.ok(point !== undefined);
  skerry.backend.damage(point.snapshotId, 'memory/pages.img is truncated');
  const resumed = await skerry.act(id, 'resume');
  assert.deepEqual(
    [resumed.status, resumed.resume?.from, resumed.resume?.lost, resumed.resume?.why],
    ['running', 'disk', 'processes', 'memory/pages.img is truncated'],
  );
  assert.equal(skerry.backend.read(skerry.bootOf(id)).files.get('/f'), '1');
  assert.deepEqual(pointsOf(id), [point.snapshotId]);
  assert.ok((await skerry.events(id)).includes('resume_fell_back'));
  await skerry.act(id, 'pause');
  await skerry.settle();
  assert.ok(!pointsOf(id).includes(point.snapshotId));
  assert.equal((await skerry.act(id, 'resume')).resume?.from, 'memory');
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a resume for which there is no room fails, keeps the memory, and works when there is room', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  await skerry.act(id, 'pause');
  skerry.backend.capacity = skerry.backend.contents.boots.length;
  const answer = await skerry.api('POST', `/v1/sandboxes/${id}/resume`, {});
  assert.deepEqual([answer.status, answer.body['reason']], [503, 'host_full']);
  assert.equal((await skerry.get(id)).status, 'failed');
  skerry.backend.capacity = Number.POSITIVE_INFINITY;
  assert.equal((await skerry.act(id, 'resume')).resume?.from, 'memory');
  assert.equal(skerry.backend.read(skerry.bootOf(id)).memory.get('a'), '1');
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('pause refuses what is not running and what ends with its boot', async () => {
  const { id } = await skerry.create();
  await skerry.act(id, 'stop');
  const stopped = await skerry.api('POST', `/v1/sandboxes/${id}/pause`, {});
  assert.deepEqual([stopped.status, stopped.body['reason']], [412, 'sandbox_not_running']);
  const ephemeral = await skerry.create({ kind: 'ephemeral' });
  const refused = await skerry.api('POST', `/v1/sandboxes/${ephemeral.id}/pause`, { memory: false });
  assert.deepEqual([refused.status, refused.body['reason']], [412, 'ephemeral_ends']);
  skerry.backend.savesMemory = false;
  const other = await TestInstance.start(skerry.backend);
  const unable = await other.create();
  const unsupported = await other.api('POST', `/v1/sandboxes/${unable.id}/pause`, {});
  assert.deepEqual([unsupported.status, unsupported.body['reason']], [501, 'memory_unsupported']);
  assert.equal((await other.act(unable.id, 'pause', { memory: false })).status, 'paused');
  await other.api('DELETE', `/v1/sandboxes/${unable.id}`);
  await other[Symbol.asyncDispose]();
  skerry.backend.savesMemory = true;
  for (const one of [id, ephemeral.id]) await skerry.api('DELETE', `/v1/sandboxes/${one}`);
});

test('down pauses what runs and keeps the intent: up goes on from memory', async () => {
  const { id } = await skerry.create();
  const [gone, resting] = [await skerry.create({ kind: 'ephemeral' }), await skerry.create()];
  await skerry.act(resting.id, 'pause');
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  const rested = await restAll(skerry.server.core, 10_000);
  assert.deepEqual(rested.failed, []);
  assert.equal((await skerry.get(id)).status, 'resuming');
  assert.deepEqual([skerry.backend.contents.boots, pointsOf(id).length], [[], 1]);
  await skerry.down();
  await skerry.up();
  const up = await skerry.until(id, 'running');
  assert.equal(up.resume?.from, 'memory');
  assert.equal(skerry.backend.read(skerry.bootOf(id)).memory.get('a'), '1');
  assert.equal((await skerry.get(resting.id)).status, 'paused');
  assert.equal((await skerry.get(gone.id)).status, 'deleted');
  for (const one of [id, resting.id]) await skerry.api('DELETE', `/v1/sandboxes/${one}`);
});

test('down stops what cannot be paused', async () => {
  const { id } = await skerry.create();
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'before', problem: diskFull });
  const rested = await restAll(skerry.server.core, 10_000);
  assert.deepEqual([rested.failed, skerry.backend.contents.boots], [[], []]);
  await skerry.down();
  await skerry.up();
  const up = await skerry.until(id, 'running');
  assert.equal(up.resume, undefined);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a machine that goes down while a sandbox is paused loses nothing of it', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  await skerry.act(id, 'pause');
  skerry.backend.restartMachine();
  assert.equal((await skerry.act(id, 'resume')).resume?.from, 'memory');
  assert.equal(skerry.backend.read(skerry.bootOf(id)).memory.get('a'), '1');
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});
