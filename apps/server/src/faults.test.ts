/** Kills the server between every two steps that leave a trace, and looks at what it makes of that when it is started again. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Problem, type BootId } from '@skerry/model';
import type { Sandbox, Snapshot } from '@skerry/protocol';
import { type FaultPoint, faultPoints } from './fault-points.ts';
import { eventually, ServerProcess } from './testing/server-process.ts';

let skerry: ServerProcess;
before(async () => {
  skerry = await ServerProcess.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

/** Points that are killed at in tests of their own. */
const elsewhere: readonly string[] = ['freeze', 'thaw', 'import'];
const killedAt = new Set<FaultPoint>();

/** Does something with the server killed at a point on the way. */
async function killed<T>(point: FaultPoint, work: () => Promise<T>): Promise<T> {
  killedAt.add(point);
  const before = skerry.deaths;
  await skerry.arm(point);
  const result = await work();
  await eventually(`the server is killed at ${point}`, () => (skerry.deaths > before ? true : undefined));
  assert.equal(skerry.deaths, before + 1);
  return result;
}

async function make(body: Readonly<Record<string, unknown>> = {}): Promise<Sandbox> {
  const { status, body: made } = await skerry.api('POST', '/v1/sandboxes', body);
  assert.equal(status, 201, JSON.stringify(made));
  return made as unknown as Sandbox;
}

const act = (id: string, verb: string, body: unknown = {}) => skerry.api('POST', `/v1/sandboxes/${id}/${verb}`, body);

function bootOf(id: string): BootId {
  const boots = skerry.backend.contents.boots.filter((one) => one.sandboxId === id && one.state === 'running');
  assert.equal(boots.length, 1, JSON.stringify(boots));
  return boots[0]?.bootId as BootId;
}

const remember = (id: string, value: string): void => skerry.backend.write(bootOf(id), 'memory', 'a', value);
const remembered = (id: string): string | undefined => skerry.backend.read(bootOf(id)).memory.get('a');

/** Deletes all that is left, and checks that it leaves nothing. */
async function clear(): Promise<void> {
  const sandboxes = await skerry.api('GET', '/v1/sandboxes');
  for (const { id } of sandboxes.body['items'] as Sandbox[]) await skerry.api('DELETE', `/v1/sandboxes/${id}`);
  const snapshots = await skerry.api('GET', '/v1/snapshots');
  for (const { id } of snapshots.body['items'] as Snapshot[]) await skerry.api('DELETE', `/v1/snapshots/${id}`);
  await eventually('nothing is left', () => {
    const { disks, boots, snapshots: left } = skerry.backend.contents;
    return disks.length + boots.length + left.length === 0 ? true : undefined;
  });
}

for (const point of faultPoints.filter((name) => name.startsWith('create.') || name.startsWith('start.')))
  test(`create, killed at ${point}: one sandbox, which runs`, async () => {
    const { id } = await killed(point, () => make({ name: 'work', env: { SECRET: 'x' } }));
    await skerry.until(id, 'running');
    assert.deepEqual([skerry.backend.contents.disks.length, skerry.backend.contents.boots.length], [1, 1]);
    await clear();
  });

for (const point of faultPoints.filter((name) => name.startsWith('stop.')))
  test(`stop, killed at ${point}: stopped, with its disk`, async () => {
    const { id } = await make();
    skerry.backend.write(bootOf(id), 'file', '/f', '1');
    await killed(point, () => act(id, 'stop'));
    await skerry.until(id, 'stopped');
    await eventually('its boot is gone', () => (skerry.backend.contents.boots.length === 0 ? true : undefined));
    await act(id, 'start');
    assert.equal(skerry.backend.read(bootOf(id)).files.get('/f'), '1');
    await clear();
  });

for (const point of faultPoints.filter((name) => name.startsWith('delete.')))
  test(`delete, killed at ${point}: nothing is left of it`, async () => {
    const { id } = await make({ env: { SECRET: 'x' } });
    await act(id, 'pause');
    await killed(point, () => skerry.api('DELETE', `/v1/sandboxes/${id}`));
    assert.deepEqual((await skerry.until(id, 'deleted')).env, {});
    await clear();
  });

for (const point of ['pause.wanted', 'pause.recorded', 'pause.saved', 'pause.point-recorded'] as const)
  test(`pause, killed at ${point}: paused once, with its memory`, async () => {
    const { id } = await make();
    remember(id, '1');
    await killed(point, () => act(id, 'pause'));
    await skerry.until(id, 'paused');
    assert.equal(skerry.backend.contents.snapshots.length, 1);
    const { body } = await act(id, 'resume');
    assert.equal((body as unknown as Sandbox).resume?.from, 'memory');
    assert.equal(remembered(id), '1');
    await clear();
  });

test('a pause that fails, killed at pause.failed: it goes on', async () => {
  const { id } = await make();
  remember(id, '1');
  const problem = new Problem('exhausted', 'The disk is full', { reason: 'host_disk_full', exhaustion: 'disk' });
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'before', problem });
  await killed('pause.failed', () => act(id, 'pause'));
  await skerry.until(id, 'running');
  assert.equal(remembered(id), '1');
  assert.equal((await act(id, 'pause')).status, 200);
  await clear();
});

test('a resume without usable memory, killed at resume.fell-back: it comes back from disk and says so', async () => {
  const { id } = await make();
  skerry.backend.write(bootOf(id), 'file', '/f', '1');
  await act(id, 'pause');
  skerry.backend.restoreFailure = 'damaged';
  await killed('resume.fell-back', () => act(id, 'resume'));
  const back = await skerry.until(id, 'running');
  skerry.backend.restoreFailure = undefined;
  assert.deepEqual([back.resume?.from, back.resume?.lost], ['disk', 'processes']);
  assert.equal(skerry.backend.read(bootOf(id)).files.get('/f'), '1');
  await clear();
});

test('a second pause, killed at point.dropped: the newer point is there, the older goes', async () => {
  const { id } = await make();
  await act(id, 'pause');
  await act(id, 'resume');
  remember(id, '2');
  await killed('point.dropped', () => act(id, 'pause'));
  await skerry.until(id, 'paused');
  await eventually('one point is left', () => (skerry.backend.contents.snapshots.length === 1 ? true : undefined));
  await act(id, 'resume');
  assert.equal(remembered(id), '2');
  await clear();
});

for (const point of ['snapshot.recorded', 'snapshot.made', 'snapshot.ready'] as const)
  test(`snapshot, killed at ${point}: one snapshot, and the sandbox goes on`, async () => {
    const { id } = await make();
    remember(id, '1');
    const made = await killed(point, () => act(id, 'snapshots', { name: 'one' }));
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual([made.body['status'], made.body['kind']], ['ready', 'memory']);
    assert.equal(skerry.backend.contents.snapshots.length, 1);
    await skerry.until(id, 'running');
    const copy = await make({ from: 'one' });
    assert.equal(remembered(copy.id), '1');
    await clear();
  });

for (const point of ['snapshot.deleting', 'snapshot.deleted'] as const)
  test(`delete of a snapshot, killed at ${point}: it is gone`, async () => {
    const { id } = await make();
    const { body } = await act(id, 'snapshots');
    const gone = await killed(point, () => skerry.api('DELETE', `/v1/snapshots/${String(body['id'])}`));
    assert.ok([200, 202, 404].includes(gone.status), JSON.stringify(gone));
    await eventually('it is gone', async () =>
      (await skerry.api('GET', `/v1/snapshots/${String(body['id'])}`)).status === 404 ? true : undefined,
    );
    await clear();
  });

test('fork, killed at fork.recorded: as many as were asked for, and the point goes', async () => {
  const { id } = await make();
  remember(id, '1');
  const { status, body } = await killed('fork.recorded', () => act(id, 'fork', { count: 3 }));
  assert.equal(status, 201, JSON.stringify(body));
  const forks = body['items'] as Sandbox[];
  assert.deepEqual([forks.length, skerry.backend.contents.disks.length], [3, 4]);
  for (const fork of forks) assert.equal(remembered(fork.id), '1');
  await eventually('the point is gone', () => (skerry.backend.contents.snapshots.length === 0 ? true : undefined));
  await clear();
});

for (const point of faultPoints.filter((name) => name.startsWith('rollback.')))
  test(`rollback, killed at ${point}: back at the snapshot, on one disk`, async () => {
    const { id } = await make();
    remember(id, '1');
    await act(id, 'snapshots', { name: 'good' });
    remember(id, '2');
    const { status, body } = await killed(point, () => act(id, 'rollback', { snapshot: 'good' }));
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(remembered(id), '1');
    await eventually('one disk is left', () => (skerry.backend.contents.disks.length === 1 ? true : undefined));
    await clear();
  });

test('every point was killed at', () => {
  const missing = faultPoints.filter((name) => !killedAt.has(name) && !elsewhere.includes(name.split('.')[0] ?? ''));
  assert.deepEqual(missing, []);
});
