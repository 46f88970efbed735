import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Problem } from '@skerry/model';
import type { Snapshot } from '@skerry/protocol';
import { TestInstance } from './testing/instance.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
beforeEach(() => {
  skerry.backend.faults.clear();
  skerry.backend.restoreFailure = undefined;
  skerry.backend.bootMs = 0;
  skerry.backend.saveMs = 0;
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

const list = async (query = ''): Promise<Snapshot[]> =>
  (await skerry.api('GET', `/v1/snapshots${query}`)).body['items'] as Snapshot[];
const remove = (id: string) => skerry.api('DELETE', `/v1/snapshots/${id}`);
const drop = (id: string) => skerry.api('DELETE', `/v1/sandboxes/${id}`);

test('a snapshot of a running sandbox has its memory, and the sandbox goes on', async () => {
  const { id } = await skerry.create({ name: 'origin', env: { SECRET: 'x' } });
  const boot = skerry.bootOf(id);
  skerry.backend.write(boot, 'memory', 'a', '1');
  const made = await skerry.snapshot('origin', { name: 'first' });
  assert.deepEqual(
    [made.kind, made.status, made.name, made.sandbox, made.sandboxName, made.origin, made.stallMs],
    ['memory', 'ready', 'first', id, 'origin', 'user', 1],
  );
  assert.ok(made.memoryBytes > 0 && !JSON.stringify(made).includes('SECRET'));
  assert.deepEqual([(await skerry.get(id)).status, skerry.bootOf(id)], ['running', boot]);
  assert.equal(((await skerry.api('GET', '/v1/snapshots/first')).body as unknown as Snapshot).id, made.id);

  const from = await skerry.create({ from: 'first', name: 'copy' });
  assert.deepEqual([from.resume?.from, from.source?.snapshot], ['memory', made.id]);
  const request = skerry.backend.requestOf(skerry.bootOf(from.id));
  assert.deepEqual([request.restoreAs, request.env, request.hostname], ['fork', { SECRET: 'x' }, 'copy']);
  assert.notEqual(request.accessToken, skerry.backend.requestOf(boot).accessToken);
  assert.equal(skerry.backend.read(skerry.bootOf(from.id)).memory.get('a'), '1');
  const cold = await skerry.create({ from: 'first', diskOnly: true, env: { MORE: 'y' } });
  assert.deepEqual([cold.resume, cold.env], [undefined, { SECRET: 'x', MORE: 'y' }]);

  assert.equal((await drop(id)).status, 200);
  assert.equal((await remove('first')).status, 200);
  assert.equal((await skerry.get(from.id)).status, 'running');
  await skerry.act(from.id, 'stop');
  assert.equal((await skerry.act(from.id, 'start')).status, 'running');
  for (const one of [from.id, cold.id]) await drop(one);
  assert.deepEqual(skerry.backend.contents, { disks: [], boots: [], snapshots: [] });
});

test('a snapshot of a paused sandbox is one of its memory, of a stopped one of its disk', async () => {
  const { id } = await skerry.create();
  skerry.backend.write(skerry.bootOf(id), 'memory', 'a', '1');
  await skerry.act(id, 'pause');
  const paused = await skerry.snapshot(id);
  assert.equal(paused.kind, 'memory');
  assert.equal((await skerry.get(id)).status, 'paused');
  const filesOnly = await skerry.snapshot(id, { kind: 'disk' });
  assert.deepEqual([filesOnly.kind, filesOnly.memoryBytes], ['disk', 0]);
  await skerry.act(id, 'stop');
  assert.equal((await skerry.snapshot(id)).kind, 'disk');
  const refused = await skerry.api('POST', `/v1/sandboxes/${id}/snapshots`, { kind: 'memory' });
  assert.deepEqual([refused.status, refused.body['reason']], [412, 'no_memory']);
  const copy = await skerry.create({ from: paused.id });
  assert.equal(skerry.backend.read(skerry.bootOf(copy.id)).memory.get('a'), '1');
  for (const one of await list()) await remove(one.id);
  for (const one of [id, copy.id]) await drop(one);
});

test('snapshots are a tree; deleting a parent gives its children to the grandparent', async () => {
  const { id } = await skerry.create();
  const [a, b, c] = [await skerry.snapshot(id), await skerry.snapshot(id), await skerry.snapshot(id)];
  assert.deepEqual([a.parent, b.parent, c.parent], [undefined, a.id, b.id]);
  const copy = await skerry.create({ from: b.id });
  const d = await skerry.snapshot(copy.id);
  assert.equal(d.parent, b.id);
  assert.equal((await remove(b.id)).status, 200);
  const left = new Map((await list()).map((one) => [one.id, one.parent]));
  assert.deepEqual([left.get(c.id), left.get(d.id)], [a.id, a.id]);
  assert.equal((await skerry.snapshot(copy.id)).parent, d.id);
  await skerry.settle();
  const blob = skerry.backend.contents.snapshots.find((one) => one.snapshotId === c.id)?.owner.sandbox['snapshot'];
  assert.equal((blob as { parentId: string }).parentId, a.id);
  for (const one of await list()) await remove(one.id);
  for (const one of [id, copy.id]) await drop(one);
});

test('a snapshot that cannot be made does not stay, and the caller hears why', async () => {
  const { id } = await skerry.create();
  const problem = new Problem('exhausted', 'The disk is full', { reason: 'host_disk_full', exhaustion: 'disk' });
  skerry.backend.faults.inject({ call: 'createSnapshot', when: 'before', problem });
  const answer = await skerry.api('POST', `/v1/sandboxes/${id}/snapshots`, { name: 'again' });
  assert.deepEqual([answer.status, answer.body['reason']], [507, 'host_disk_full']);
  await skerry.settle();
  assert.deepEqual(await list('?all=true'), []);
  const after = await skerry.get(id);
  assert.equal(after.status, 'running');
  assert.equal((await skerry.snapshot(id, { name: 'again' })).name, 'again');
  await remove('again');
  await drop(id);
});

test('a snapshot asked for while its sandbox is made is made when that runs, and one of a deleted sandbox never', async () => {
  skerry.backend.bootMs = 50;
  const made = await skerry.api('POST', '/v1/sandboxes?wait=0', {});
  const id = String(made.body['id']);
  assert.equal((await skerry.snapshot(id)).kind, 'memory');
  skerry.backend.saveMs = 100;
  const late = skerry.api('POST', `/v1/sandboxes/${id}/snapshots`, {});
  await new Promise((resolve) => setTimeout(resolve, 30));
  await drop(id);
  const answer = await late;
  assert.equal(answer.status, 409, JSON.stringify(answer.body));
  await skerry.settle();
  const left = await list('?all=true');
  assert.equal(left.length, 1);
  assert.equal(skerry.backend.contents.snapshots.length, 1);
  for (const one of left) await remove(one.id);
});

test('retention: the last so many without a name are kept, and what expires goes', async () => {
  const { id } = await skerry.create();
  const named = await skerry.snapshot(id, { name: 'kept', kind: 'disk' });
  const made: Snapshot[] = [];
  for (let n = 0; n < 4; n++) made.push(await skerry.snapshot(id, { kind: 'disk', keepLast: 2 }));
  await skerry.settle();
  const ids = (await list()).map((one) => one.id);
  assert.deepEqual(ids.toSorted(), [named.id, made[2]?.id ?? '', made[3]?.id ?? ''].toSorted());
  const brief = await skerry.snapshot(id, { kind: 'disk', expireAfterMs: 1000 });
  assert.ok(brief.expiresAt !== undefined);
  const end = Date.now() + 20_000;
  while ((await list()).some((one) => one.id === brief.id)) {
    assert.ok(Date.now() < end, 'it did not expire');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const one of await list()) await remove(one.id);
  await drop(id);
  assert.deepEqual(skerry.backend.contents, { disks: [], boots: [], snapshots: [] });
});

test('what a sandbox needs to start from cannot be deleted; pause points are the sandbox’s own', async () => {
  const { id } = await skerry.create();
  const made = await skerry.snapshot(id);
  skerry.backend.capacity = skerry.backend.contents.boots.length;
  const stuck = await skerry.api('POST', '/v1/sandboxes', { from: made.id, name: 'stuck' });
  assert.deepEqual([stuck.status, stuck.body['reason']], [503, 'host_full']);
  const refused = await remove(made.id);
  assert.deepEqual([refused.status, refused.body['reason']], [409, 'snapshot_in_use']);
  skerry.backend.capacity = Number.POSITIVE_INFINITY;
  assert.equal((await skerry.act('stuck', 'start')).resume?.from, 'memory');
  assert.equal((await remove(made.id)).status, 200);
  await skerry.act(id, 'pause');
  const point = (await list('?all=true')).find((one) => one.origin === 'pause');
  assert.ok(point !== undefined);
  assert.deepEqual(await list(), []);
  const own = await remove(point.id);
  assert.deepEqual([own.status, own.body['reason']], [412, 'snapshot_not_yours']);
  for (const one of [id, 'stuck']) await drop(one);
});

test('lists are paged and by sandbox; names are unique; other projects and viewers are kept out', async () => {
  const [one, two] = [await skerry.create({ name: 'one' }), await skerry.create({ name: 'two' })];
  const made = [
    await skerry.snapshot('one', { name: 's1' }),
    await skerry.snapshot('two'),
    await skerry.snapshot('one'),
  ];
  const first = await skerry.api('GET', '/v1/snapshots?limit=2');
  const rest = await skerry.api('GET', `/v1/snapshots?limit=2&cursor=${String(first.body['next'])}`);
  const ids = [first, rest].flatMap(({ body }) => (body['items'] as Snapshot[]).map(({ id }) => id));
  assert.deepEqual(ids, made.map(({ id }) => id).toReversed());
  const ofOne = await skerry.api('GET', '/v1/sandboxes/one/snapshots');
  assert.equal((ofOne.body['items'] as Snapshot[]).length, 2);
  assert.equal((await list('?sandbox=two')).length, 1);
  assert.equal((await list('?name=s1')).length, 1);
  const taken = await skerry.api('POST', '/v1/sandboxes/two/snapshots', { name: 's1' });
  assert.deepEqual([taken.status, taken.body['reason']], [409, 'name_taken']);

  const key = await skerry.api('POST', '/v1/keys', { name: 'look', role: 'viewer' });
  const viewer = { authorization: `Bearer ${String(key.body['key'])}` };
  assert.equal((await skerry.api('GET', '/v1/snapshots/s1', undefined, viewer)).status, 200);
  for (const [method, path] of [
    ['DELETE', '/v1/snapshots/s1'],
    ['POST', '/v1/snapshots/s1/verify'],
    ['POST', '/v1/sandboxes/one/snapshots'],
    ['POST', '/v1/sandboxes/one/pause'],
    ['POST', '/v1/sandboxes/one/resume'],
    ['POST', '/v1/sandboxes/one/fork'],
    ['POST', '/v1/sandboxes/one/rollback'],
  ] as const)
    assert.equal(
      (await skerry.api(method, path, path.endsWith('rollback') ? { snapshot: 's1' } : {}, viewer)).status,
      403,
      path,
    );
  const stranger = await skerry.stranger();
  const [{ id = '' } = {}] = made;
  for (const [method, path, body] of [
    ['GET', `/v1/snapshots/${id}`, undefined],
    ['GET', '/v1/snapshots/s1', undefined],
    ['DELETE', `/v1/snapshots/${id}`, undefined],
    ['POST', `/v1/snapshots/${id}/verify`, {}],
    ['POST', `/v1/sandboxes/${one.id}/pause`, {}],
    ['POST', `/v1/sandboxes/${one.id}/resume`, {}],
    ['POST', `/v1/sandboxes/${one.id}/fork`, {}],
    ['POST', `/v1/sandboxes/${one.id}/snapshots`, {}],
    ['POST', `/v1/sandboxes/${one.id}/rollback`, { snapshot: id }],
    ['POST', '/v1/sandboxes', { from: id }],
  ] as const)
    assert.equal((await skerry.api(method, path, body, stranger)).status, 404, path);
  const theirs = await skerry.api('GET', `/v1/snapshots?sandbox=${one.id}`, undefined, stranger);
  assert.deepEqual(theirs.body['items'], []);
  for (const { id: snapshot } of made) await remove(snapshot);
  for (const { id: sandbox } of [one, two]) await drop(sandbox);
});

test('verify says what is damaged', async () => {
  const { id } = await skerry.create();
  const made = await skerry.snapshot(id);
  assert.equal((await skerry.api('POST', `/v1/snapshots/${made.id}/verify`, {})).status, 200);
  const [there] = skerry.backend.contents.snapshots;
  assert.ok(there !== undefined);
  skerry.backend.damage(there.snapshotId, 'a flipped bit');
  const damaged = await skerry.api('POST', `/v1/snapshots/${made.id}/verify`, {});
  assert.deepEqual([damaged.status, damaged.body['code']], [500, 'data_loss']);
  await remove(made.id);
  await drop(id);
});

test('an idempotency key makes one snapshot, and one fork', async () => {
  const { id } = await skerry.create();
  const key = { 'idempotency-key': 'once' };
  const twice = await Promise.all(
    [1, 2].map(() => skerry.api('POST', `/v1/sandboxes/${id}/snapshots`, { name: 'once' }, key)),
  );
  assert.deepEqual(
    twice.map(({ status }) => status),
    [201, 201],
  );
  assert.equal(twice[0]?.body['id'], twice[1]?.body['id']);
  const forkKey = { 'idempotency-key': 'fork' };
  const forks = await Promise.all(
    [1, 2].map(() => skerry.api('POST', `/v1/sandboxes/${id}/fork`, { count: 2 }, forkKey)),
  );
  const ids = forks.map(({ body }) => (body['items'] as { id: string }[]).map((fork) => fork.id));
  assert.deepEqual(ids[0], ids[1]);
  const other = await skerry.api('POST', `/v1/sandboxes/${id}/fork`, { count: 3 }, forkKey);
  assert.equal(other.body['reason'], 'idempotency_key_reused');
  await remove('once');
  for (const one of [id, ...(ids[0] ?? [])]) await drop(one);
});

test('create from a snapshot refuses what does not fit it', async () => {
  const { id } = await skerry.create({ memoryMiB: 512, diskMiB: 2048 });
  const made = await skerry.snapshot(id);
  for (const body of [{ memoryMiB: 256 }, { diskMiB: 1024 }, { template: 'other' }]) {
    const answer = await skerry.api('POST', '/v1/sandboxes', { from: made.id, ...body });
    assert.equal(answer.status, 400, JSON.stringify([body, answer.body]));
  }
  const less = await skerry.create({ from: made.id, memoryMiB: 256, diskOnly: true });
  assert.equal(less.memoryMiB, 256);
  assert.equal((await skerry.api('POST', '/v1/sandboxes', { from: 'nothing' })).status, 404);
  await remove(made.id);
  for (const one of [id, less.id]) await drop(one);
});
