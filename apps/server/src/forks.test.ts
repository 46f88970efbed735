import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Problem } from '@skerry/model';
import type { Sandbox } from '@skerry/protocol';
import { TestInstance } from './testing/instance.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
beforeEach(() => {
  skerry.backend.faults.clear();
  skerry.backend.restoreFailure = undefined;
  skerry.backend.capacity = Number.POSITIVE_INFINITY;
  skerry.backend.bootMs = 0;
  skerry.backend.saveMs = 0;
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

const fork = async (sandbox: string, body: unknown = {}): Promise<Sandbox[]> => {
  const answer = await skerry.api('POST', `/v1/sandboxes/${sandbox}/fork`, body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body['items'] as Sandbox[];
};
const drop = (id: string) => skerry.api('DELETE', `/v1/sandboxes/${id}`);
const full = new Problem('exhausted', 'The disk is full', { reason: 'host_disk_full', exhaustion: 'disk' });

test('20 forks of a running sandbox run with its memory, each as its own, and the sandbox goes on', async () => {
  const { id } = await skerry.create({ name: 'parent', labels: { team: 'a' } });
  const boot = skerry.bootOf(id);
  skerry.backend.write(boot, 'memory', 'a', '1');
  const forks = await fork('parent', { count: 20, names: ['first'] });
  assert.equal(forks.length, 20);
  assert.deepEqual([forks[0]?.name, forks[1]?.name.startsWith('parent-')], ['first', true]);
  const requests = forks.map((one) => skerry.backend.requestOf(skerry.bootOf(one.id)));
  assert.equal(new Set(requests.map(({ accessToken }) => accessToken)).size, 20);
  assert.equal(new Set(requests.map(({ hostname }) => hostname)).size, 20);
  for (const one of forks) {
    assert.deepEqual([one.status, one.labels, one.resume?.from], ['running', { team: 'a' }, 'memory']);
    assert.equal(skerry.backend.read(skerry.bootOf(one.id)).memory.get('a'), '1');
  }
  skerry.backend.write(skerry.bootOf(forks[0]?.id ?? ''), 'file', '/own', 'x');
  assert.equal(skerry.backend.read(boot).files.get('/own'), undefined);
  assert.deepEqual([(await skerry.get(id)).status, skerry.bootOf(id)], ['running', boot]);
  assert.ok((await skerry.events(id)).includes('forked'));
  await skerry.settle();
  assert.deepEqual(skerry.backend.contents.snapshots, []);
  for (const one of [id, ...forks.map((each) => each.id)]) await drop(one);
});

test('a paused sandbox is forked from its memory and stays paused; a stopped one from its disk', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  await skerry.act(id, 'pause');
  const [one] = await fork(id);
  assert.equal(skerry.backend.read(skerry.bootOf(one?.id ?? '')).memory.get('a'), '1');
  assert.equal((await skerry.get(id)).status, 'paused');
  const [cold] = await fork(id, { diskOnly: true });
  assert.equal(cold?.resume, undefined);
  await skerry.act(id, 'stop');
  const [disk] = await fork(id);
  assert.deepEqual([disk?.status, disk?.resume], ['running', undefined]);
  await skerry.settle();
  assert.deepEqual(skerry.backend.contents.snapshots, []);
  for (const each of [id, one?.id, cold?.id, disk?.id]) await drop(each ?? '');
});

test('forks whose snapshot cannot be made are gone, and the caller hears why', async () => {
  const { id } = await skerry.create();
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'before', problem: full });
  const answer = await skerry.api('POST', `/v1/sandboxes/${id}/fork`, { count: 3, names: ['f1', 'f2'] });
  assert.deepEqual([answer.status, answer.body['reason']], [507, 'host_disk_full']);
  await skerry.settle();
  const { body } = await skerry.api('GET', '/v1/sandboxes');
  assert.deepEqual(
    (body['items'] as Sandbox[]).map((one) => one.id),
    [id],
  );
  assert.equal((await fork(id, { names: ['f1'] }))[0]?.name, 'f1');
  for (const each of [id, 'f1']) await drop(each);
});

test('where not all forks find room, those that do run and the others can be started later, from the same memory', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  skerry.backend.capacity = 3;
  const forks = await fork(id, { count: 4 });
  const by = (status: string) => forks.filter((one) => one.status === status);
  assert.deepEqual([by('running').length, by('failed').length], [2, 2], JSON.stringify(forks));
  await skerry.settle();
  assert.equal(skerry.backend.contents.snapshots.length, 1);
  skerry.backend.capacity = Number.POSITIVE_INFINITY;
  for (const one of by('failed')) {
    assert.equal((await skerry.act(one.id, 'start')).resume?.from, 'memory');
    assert.equal(skerry.backend.read(skerry.bootOf(one.id)).memory.get('a'), '1');
  }
  await skerry.settle();
  assert.deepEqual(skerry.backend.contents.snapshots, []);
  for (const each of [id, ...forks.map((one) => one.id)]) await drop(each);
});

test('fork refuses names that are taken, given twice, or too many', async () => {
  const { id } = await skerry.create({ name: 'taken' });
  for (const [body, status] of [
    [{ names: ['taken'] }, 409],
    [{ names: ['a', 'a'] }, 400],
    [{ names: ['a', 'b'], count: 1 }, 400],
    [{ count: 0 }, 400],
    [{ count: 101 }, 400],
  ] as const)
    assert.equal((await skerry.api('POST', `/v1/sandboxes/${id}/fork`, body)).status, status, JSON.stringify(body));
  assert.equal(skerry.backend.contents.boots.length, 1);
  assert.deepEqual(await skerry.store.snapshots.listAll(), []);
  await drop(id);
});

test('rollback puts a sandbox back to a snapshot in place, with its memory and a new generation', async () => {
  const { id } = await skerry.create({ name: 'work' });
  const before = await skerry.get(id);
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  skerry.backend.write(skerry.bootOf(id), 'file', '/f', '1');
  await skerry.snapshot(id, { name: 'good' });
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '2');
  skerry.backend.write(skerry.bootOf(id), 'file', '/f', '2');
  const rolled = await skerry.act('work', 'rollback', { snapshot: 'good' });
  assert.deepEqual([rolled.status, rolled.id, rolled.resume?.from], ['running', id, 'memory']);
  assert.notEqual(rolled.accessToken, before.accessToken);
  const { files, memory } = skerry.backend.read(skerry.bootOf(id));
  assert.deepEqual([files.get('/f'), memory.get('a')], ['1', '1']);
  const request = skerry.backend.requestOf(skerry.bootOf(id));
  assert.deepEqual([request.generation, request.restoreAs], [2, 'resume']);
  await skerry.settle();
  assert.equal(skerry.backend.contents.disks.length, 1);
  assert.equal((await skerry.snapshot(id)).parent, (await skerry.api('GET', '/v1/snapshots/good')).body['id']);

  const files2 = await skerry.act('work', 'rollback', { snapshot: 'good', diskOnly: true });
  assert.equal(files2.resume, undefined);
  assert.equal(skerry.backend.read(skerry.bootOf(id)).files.get('/f'), '1');
  await skerry.act(id, 'pause');
  assert.equal((await skerry.act(id, 'rollback', { snapshot: 'good' })).status, 'running');
  await skerry.act(id, 'stop');
  assert.equal((await skerry.act(id, 'rollback', { snapshot: 'good' })).status, 'running');
  await drop(id);
  for (const snapshot of skerry.backend.contents.snapshots)
    await skerry.api('DELETE', `/v1/snapshots/${snapshot.snapshotId}`);
  assert.deepEqual(skerry.backend.contents, { disks: [], boots: [], snapshots: [] });
});

test('a rollback that fails leaves the sandbox as it was, running or at rest', async () => {
  const { id } = await skerry.create();
  const made = await skerry.snapshot(id);
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '2');
  const boot = skerry.bootOf(id);
  skerry.backend.faults.inject({ call: 'createDisk', when: 'before', problem: full });
  const answer = await skerry.api('POST', `/v1/sandboxes/${id}/rollback`, { snapshot: made.id });
  assert.deepEqual([answer.status, answer.body['reason']], [507, 'host_disk_full']);
  assert.equal(skerry.bootOf(id), boot);
  await skerry.act(id, 'pause');
  skerry.backend.faults.inject({ call: 'createDisk', when: 'before', problem: full });
  assert.equal((await skerry.api('POST', `/v1/sandboxes/${id}/rollback`, { snapshot: made.id })).status, 507);
  assert.equal((await skerry.get(id)).status, 'paused');
  await skerry.act(id, 'resume');
  assert.equal(skerry.backend.read(skerry.bootOf(id)).memory.get('a'), '2');
  await skerry.settle();
  assert.equal(skerry.backend.contents.disks.length, 1);
  assert.equal((await skerry.api('POST', `/v1/sandboxes/${id}/rollback`, { snapshot: 'nothing' })).status, 404);
  await skerry.api('DELETE', `/v1/snapshots/${made.id}`);
  await drop(id);
});

test('while a disk is replaced a stop is refused, and a delete wins', async () => {
  const { id } = await skerry.create();
  const made = await skerry.snapshot(id);
  skerry.backend.faults.delay(30);
  const rolling = skerry.api('POST', `/v1/sandboxes/${id}/rollback`, { snapshot: made.id });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const stop = await skerry.api('POST', `/v1/sandboxes/${id}/stop`, {});
  assert.equal(stop.body['reason'], 'rollback_in_progress');
  assert.equal((await drop(id)).status, 200);
  assert.equal((await rolling).status, 409);
  skerry.backend.faults.clear();
  await skerry.api('DELETE', `/v1/snapshots/${made.id}`);
  await skerry.settle();
  assert.deepEqual(skerry.backend.contents, { disks: [], boots: [], snapshots: [] });
});

test('rolling back to memory that is damaged boots from the files of the snapshot, and says so', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'file', '/f', '1');
  const made = await skerry.snapshot(id);
  skerry.backend.write(skerry.bootOf(id), 'file', '/f', '2');
  skerry.backend.restoreFailure = 'another processor';
  const rolled = await skerry.act(id, 'rollback', { snapshot: made.id });
  assert.deepEqual([rolled.status, rolled.resume?.from, rolled.resume?.why], ['running', 'disk', 'another processor']);
  assert.equal(skerry.backend.read(skerry.bootOf(id)).files.get('/f'), '1');
  assert.equal((await skerry.api('GET', `/v1/snapshots/${made.id}`)).status, 200);
  await skerry.api('DELETE', `/v1/snapshots/${made.id}`);
  await drop(id);
});
