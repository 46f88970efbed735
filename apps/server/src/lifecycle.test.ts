import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { TestInstance } from './testing/instance.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

test('a sandbox is created, got, listed, stopped, started and deleted, and leaves nothing', async () => {
  const made = await skerry.create({ name: 'work', env: { SECRET: 'hunter2' }, labels: { team: 'a' } });
  assert.deepEqual(
    [made.status, made.name, made.kind, made.cpus, made.memoryMiB],
    ['running', 'work', 'persistent', 2, 1024],
  );
  assert.match(made.accessToken ?? '', /^[A-Za-z0-9_-]{43}$/);
  const [boot] = skerry.backend.contents.boots;
  assert.ok(boot !== undefined);
  const request = skerry.backend.requestOf(boot.bootId);
  assert.deepEqual(
    [request.env, request.accessToken, request.hostname],
    [{ SECRET: 'hunter2' }, made.accessToken, 'work'],
  );
  assert.equal((await skerry.get('work')).id, made.id);
  const listed = await skerry.api('GET', '/v1/sandboxes?label=team%3Da&status=running');
  const items = listed.body['items'] as { id: string; accessToken?: string }[];
  assert.deepEqual([items.length, items[0]?.id, items[0]?.accessToken], [1, made.id, undefined]);

  const stopped = await skerry.api('POST', '/v1/sandboxes/work/stop');
  assert.deepEqual([stopped.status, stopped.body['status']], [200, 'stopped'], JSON.stringify(stopped.body));
  assert.equal((stopped.body['lastExit'] as { reason: string }).reason, 'stopped');
  assert.deepEqual([skerry.backend.contents.boots.length, skerry.backend.contents.disks.length], [0, 1]);
  assert.equal((await skerry.api('POST', '/v1/sandboxes/work/stop')).status, 200);

  const started = await skerry.api('POST', '/v1/sandboxes/work/start', {});
  assert.deepEqual([started.status, started.body['status']], [200, 'running']);
  assert.equal((await skerry.api('POST', '/v1/sandboxes/work/start')).status, 200);
  assert.equal(skerry.backend.contents.boots.length, 1);

  const deleted = await skerry.api('DELETE', '/v1/sandboxes/work');
  assert.deepEqual([deleted.status, deleted.body['status'], deleted.body['env']], [200, 'deleted', {}]);
  assert.deepEqual(skerry.backend.contents, { disks: [], boots: [], snapshots: [] });
  assert.equal((await skerry.api('GET', '/v1/sandboxes/work')).status, 404);
  assert.equal((await skerry.get(made.id)).status, 'deleted');
  assert.equal((await skerry.api('DELETE', `/v1/sandboxes/${made.id}`)).status, 200);
  const events = await skerry.api('GET', `/v1/sandboxes/${made.id}/events`);
  assert.deepEqual(
    (events.body['items'] as { type: string }[]).map((event) => event.type),
    ['created', 'starting', 'running', 'stopping', 'stopped', 'starting', 'running', 'deleting', 'deleted'].map(
      (type) => `sandbox.${type}`,
    ),
  );
});

test('wait=false answers 202 at once, and the work goes on', async () => {
  skerry.backend.bootMs = 50;
  const made = await skerry.api('POST', '/v1/sandboxes?wait=false', {});
  assert.deepEqual([made.status, made.body['status']], [202, 'creating']);
  const id = String(made.body['id']);
  await skerry.until(id, 'running');
  skerry.backend.bootMs = 0;
  const gone = await skerry.api('DELETE', `/v1/sandboxes/${id}?wait=0`);
  assert.deepEqual([gone.status, gone.body['status']], [202, 'deleting']);
  await skerry.until(id, 'deleted');
});

test('everything has a default, a made-up name included, and no body is needed', async () => {
  const answer = await skerry.api('POST', '/v1/sandboxes');
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  assert.match(String(answer.body['name']), /^[a-z]+-[a-z]+-\d{4}$/);
  await skerry.api('DELETE', `/v1/sandboxes/${String(answer.body['id'])}`);
});

test('PATCH changes name, labels and timeout, and the blob beside the disk follows', async () => {
  const { id } = await skerry.create({ name: 'before' });
  const changed = await skerry.api('PATCH', '/v1/sandboxes/before', {
    name: 'after',
    labels: { a: 'b' },
    timeoutMs: 100_000,
  });
  assert.deepEqual([changed.status, changed.body['name'], changed.body['labels']], [200, 'after', { a: 'b' }]);
  assert.ok(changed.body['timeoutAt'] !== undefined);
  const cleared = await skerry.api('PATCH', '/v1/sandboxes/after', { timeoutMs: null });
  assert.equal(cleared.body['timeoutAt'], undefined);
  await skerry.server.core.drives.idle();
  const disk = skerry.backend.contents.disks.find((candidate) => candidate.sandboxId === id);
  assert.deepEqual([disk?.owner.sandbox['name'], disk?.owner.sandbox['labels']], ['after', { a: 'b' }]);
  await skerry.api('DELETE', '/v1/sandboxes/after');
});

test('an ephemeral sandbox that is stopped is deleted', async () => {
  const { id } = await skerry.create({ kind: 'ephemeral' });
  const stopped = await skerry.api('POST', `/v1/sandboxes/${id}/stop`);
  assert.deepEqual([stopped.status, stopped.body['status']], [200, 'deleted']);
});

test('a body beyond the limit is answered with 413, and its connection takes the rest and the next request', async () => {
  const authorization = `authorization: Bearer ${skerry.key}`;
  const body = Buffer.alloc(8 << 20, 'x');
  await using socket = connect(skerry.settings.apiSocket);
  socket.setEncoding('utf8');
  const answers = socket[Symbol.asyncIterator]() as AsyncIterator<string>;
  socket.write(
    `POST /v1/sandboxes HTTP/1.1\r\nhost: x\r\n${authorization}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.subarray(0, 1000));
  const refused = await answers.next();
  assert.match(String(refused.value), /^HTTP\/1\.1 413 [^]*body_too_large/);
  socket.write(body.subarray(1000));
  socket.write(`GET /v1/sandboxes HTTP/1.1\r\nhost: x\r\n${authorization}\r\n\r\n`);
  const next = await answers.next();
  assert.match(String(next.value), /^HTTP\/1\.1 200 /);
});
