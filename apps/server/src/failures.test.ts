import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Problem } from '@skerry/model';
import { TestInstance } from './testing/instance.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
beforeEach(() => {
  skerry.backend.faults.clear();
  skerry.backend.startFailure = undefined;
  skerry.backend.capacity = Number.POSITIVE_INFINITY;
  skerry.backend.bootMs = 0;
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

const drop = (id: string) => skerry.api('DELETE', `/v1/sandboxes/${id}`);
const lost = { hint: 'h' };

test('a boot that never becomes ready is tried three times, then the create fails with the reason', async () => {
  skerry.backend.startFailure = 'the guest did not answer';
  const starts = skerry.backend.faults.count('startBoot');
  const answer = await skerry.api('POST', '/v1/sandboxes?wait=30s', { name: 'mute' });
  assert.deepEqual([answer.status, answer.body['reason']], [500, 'start_failed']);
  assert.match(String(answer.body['detail']), /the guest did not answer/);
  assert.equal(skerry.backend.faults.count('startBoot') - starts, 3);
  const failed = await skerry.get('mute');
  assert.deepEqual([failed.status, failed.failure?.remains], ['failed', ['disk']]);
  skerry.backend.startFailure = undefined;
  assert.equal((await skerry.act('mute', 'start')).status, 'running');
  await drop('mute');
});

test('a boot that the host refuses fails the create at once', async () => {
  const starts = skerry.backend.faults.count('startBoot');
  const problem = new Problem('invalid', 'The name cannot be a host name', { reason: 'invalid_body' });
  skerry.backend.faults.inject({ call: 'startBoot', when: 'before', problem, times: 1000 });
  const answer = await skerry.api('POST', '/v1/sandboxes?wait=30s', { name: 'refused' });
  assert.deepEqual([answer.status, answer.body['reason']], [400, 'invalid_body']);
  assert.equal(skerry.backend.faults.count('startBoot') - starts, 1);
  const stillMade = await skerry.get('refused');
  assert.equal(stillMade.failure?.reason, 'invalid_body');
  await drop('refused');
});

test('a disk that cannot be made fails the create, and leaves nothing but the record', async () => {
  const problem = new Problem('exhausted', 'The disk is full', {
    ...lost,
    reason: 'host_disk_full',
    exhaustion: 'disk',
  });
  skerry.backend.faults.inject({ call: 'createDisk', when: 'before', problem });
  const answer = await skerry.api('POST', '/v1/sandboxes', { name: 'full' });
  assert.deepEqual([answer.status, answer.body['reason']], [507, 'host_disk_full']);
  assert.deepEqual((await skerry.get('full')).failure?.remains, []);
  assert.equal((await skerry.act('full', 'start')).status, 'running');
  await drop('full');
});

test('an ephemeral sandbox that cannot run is deleted', async () => {
  skerry.backend.startFailure = 'no';
  const answer = await skerry.api('POST', '/v1/sandboxes', { kind: 'ephemeral' });
  assert.equal(answer.status, 500);
  await skerry.settle();
  assert.deepEqual(skerry.backend.contents, { disks: [], boots: [], snapshots: [] });
});

test('a sandbox that ends by itself is booted again three times, then stopped as a crash loop; a start tries anew', async () => {
  const { id } = await skerry.create();
  for (let n = 0; n < 3; n++) {
    const boot = skerry.bootOf(id);
    skerry.backend.endSpontaneously(boot, 'killed');
    await skerry.server.core.drives.idle();
    const back = await skerry.until(id, 'running');
    assert.equal(back.lastExit?.reason, 'killed');
  }
  skerry.backend.endSpontaneously(skerry.bootOf(id), 'out_of_memory');
  const looped = await skerry.until(id, 'stopped');
  assert.deepEqual([looped.reason, looped.lastExit?.reason], ['crash_loop', 'out_of_memory']);
  assert.equal((await skerry.act(id, 'start')).status, 'running');
  skerry.backend.endSpontaneously(skerry.bootOf(id), 'killed');
  await skerry.server.core.drives.idle();
  await skerry.until(id, 'running');
  await drop(id);
});

test('pauses and resumes are no crash loop', async () => {
  const { id } = await skerry.create();
  for (let n = 0; n < 6; n++) {
    await skerry.act(id, 'pause');
    await skerry.act(id, 'resume');
  }
  skerry.backend.endSpontaneously(skerry.bootOf(id), 'killed');
  await skerry.server.core.drives.idle();
  await skerry.until(id, 'running');
  await drop(id);
});

test('a boot that the host forgot is found gone and booted again', async () => {
  const { id } = await skerry.create();
  skerry.backend.forget(skerry.bootOf(id));
  skerry.backend.disconnectWatchers();
  const end = Date.now() + 10_000;
  while (!(await skerry.events(id)).includes('recovered')) {
    assert.ok(Date.now() < end, JSON.stringify(await skerry.events(id)));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await skerry.until(id, 'running')).lastExit?.reason, 'host_restarted');
  await drop(id);
});

test('two callers at once: one state, and each is told what became of its call', async () => {
  const { id } = await skerry.create();
  skerry.backend.faults.delay(5);
  const verbs = ['stop', 'start', 'pause', 'resume', 'stop', 'start'];
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(verbs.map((verb) => skerry.api('POST', `/v1/sandboxes/${id}/${verb}`, {})));
    for (const { status, body } of answers) assert.ok([200, 409, 412].includes(status), JSON.stringify([status, body]));
    await skerry.server.core.drives.idle();
    const { status } = await skerry.get(id);
    assert.ok(['running', 'stopped', 'paused'].includes(status), status);
  }
  skerry.backend.faults.clear();
  assert.equal((await skerry.act(id, 'start')).status, 'running');
  await drop(id);
});

test('one name, many callers: one gets it', async () => {
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => skerry.api('POST', '/v1/sandboxes', { name: 'wanted' })),
  );
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, ...Array.from({ length: 7 }, () => 409)]);
  await drop('wanted');
});

test('an idempotency key does its call once, over a restart too, and not for another body', async () => {
  const key = { 'idempotency-key': 'k1' };
  const first = await skerry.api('POST', '/v1/sandboxes', { name: 'one' }, key);
  await skerry.down();
  await skerry.up();
  const second = await skerry.api('POST', '/v1/sandboxes', { name: 'one' }, key);
  assert.deepEqual([second.status, second.body['id']], [201, first.body['id']]);
  const other = await skerry.api('POST', '/v1/sandboxes', { name: 'two' }, key);
  assert.deepEqual([other.status, other.body['reason']], [409, 'idempotency_key_reused']);
  const pauseKey = { 'idempotency-key': 'k2' };
  assert.equal((await skerry.api('POST', '/v1/sandboxes/one/pause', {}, pauseKey)).status, 200);
  await skerry.act('one', 'resume');
  await skerry.api('POST', '/v1/sandboxes/one/pause?wait=0', {}, pauseKey);
  await skerry.server.core.drives.idle();
  assert.equal((await skerry.get('one')).status, 'running');
  assert.equal((await skerry.api('POST', '/v1/sandboxes', {}, { 'idempotency-key': 'x'.repeat(129) })).status, 400);
  await drop('one');
});

test('lists page through everything once, whoever creates meanwhile, and refuse a foreign cursor', async () => {
  const made: string[] = [];
  for (let n = 0; n < 7; n++) made.push((await skerry.create()).id);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? '' : `&cursor=${cursor}`;
    const { body } = await skerry.api('GET', `/v1/sandboxes?limit=3${query}`);
    seen.push(...(body['items'] as { id: string }[]).map(({ id }) => id));
    cursor = body['next'] as string | undefined;
    made.push((await skerry.create()).id);
  } while (cursor !== undefined);
  assert.deepEqual(seen, made.slice(0, 7).toReversed());
  const events = await skerry.api('GET', '/v1/events?limit=1');
  const foreign = await skerry.api('GET', `/v1/sandboxes?cursor=${String(events.body['next'])}`);
  assert.deepEqual([foreign.status, foreign.body['reason']], [400, 'invalid_cursor']);
  for (const id of made) await drop(id);
});

test('roles and projects: a viewer changes nothing and sees no token, a stranger sees nothing', async () => {
  const { id } = await skerry.create({ name: 'mine' });
  const key = await skerry.api('POST', '/v1/keys', { name: 'look', role: 'viewer' });
  const viewer = { authorization: `Bearer ${String(key.body['key'])}` };
  const seen = await skerry.api('GET', '/v1/sandboxes/mine', undefined, viewer);
  assert.deepEqual([seen.status, seen.body['accessToken']], [200, undefined]);
  for (const [method, path] of [
    ['POST', '/v1/sandboxes'],
    ['PATCH', '/v1/sandboxes/mine'],
    ['POST', '/v1/sandboxes/mine/start'],
    ['POST', '/v1/sandboxes/mine/stop'],
    ['DELETE', '/v1/sandboxes/mine'],
  ] as const)
    assert.equal((await skerry.api(method, path, method === 'DELETE' ? undefined : {}, viewer)).status, 403, path);
  const stranger = await skerry.stranger();
  for (const [method, path] of [
    ['GET', `/v1/sandboxes/${id}`],
    ['GET', `/v1/sandboxes/${id}/events`],
    ['GET', `/v1/sandboxes/${id}/logs`],
    ['PATCH', `/v1/sandboxes/${id}`],
    ['POST', `/v1/sandboxes/${id}/start`],
    ['POST', `/v1/sandboxes/${id}/stop`],
    ['DELETE', `/v1/sandboxes/${id}`],
    ['GET', '/v1/sandboxes/mine'],
  ] as const)
    assert.equal(
      (await skerry.api(method, path, method === 'POST' || method === 'PATCH' ? {} : undefined, stranger)).status,
      404,
      path,
    );
  assert.deepEqual((await skerry.api('GET', '/v1/sandboxes', undefined, stranger)).body['items'], []);
  assert.equal((await skerry.api('GET', '/v1/sandboxes', undefined, { authorization: 'Bearer no' })).status, 401);
  assert.equal((await skerry.get(id)).status, 'running');
  await drop(id);
});
