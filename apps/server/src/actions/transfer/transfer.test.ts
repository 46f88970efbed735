import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId, type SandboxId } from '@skerry/model';
import type { Sandbox } from '@skerry/protocol';
import { TestInstance } from '../../testing/instance.ts';
import { newSnapshotRecord } from '../snapshot/new-record.ts';
import { dropFinishedTransfers } from './transfers.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

/** Sends bytes and gets bytes. */
async function transfer(
  method: string,
  path: string,
  body?: Uint8Array,
): Promise<{ readonly status: number; readonly type: string; readonly bytes: Buffer }> {
  const outgoing = request({
    socketPath: skerry.settings.apiSocket,
    method,
    path,
    headers: {
      authorization: `Bearer ${skerry.key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/zstd' }),
    },
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return {
    status: response.statusCode ?? 0,
    type: response.headers['content-type'] ?? '',
    bytes: Buffer.concat(chunks),
  };
}
const json = (bytes: Buffer): Record<string, unknown> => JSON.parse(bytes.toString()) as Record<string, unknown>;
const runs = (sandboxId: string) => {
  const boot = skerry.backend.contents.boots.find((each) => each.sandboxId === sandboxId && each.state === 'running');
  assert.ok(boot !== undefined);
  return { boot: boot.bootId, ...skerry.backend.read(boot.bootId) };
};
/** Snapshots that are left, on the host and in the store. */
async function left(): Promise<[number, number]> {
  await dropFinishedTransfers(skerry.server.core);
  return [skerry.backend.contents.snapshots.length, (await skerry.store.snapshots.listAll()).length];
}

test('a running sandbox is exported with its memory and goes on; the import goes on where it was, as another', async () => {
  const { id } = await skerry.create({ name: 'work', memoryMiB: 512 });
  skerry.backend.write(runs(id).boot, 'memory', 'counter', '41');
  skerry.backend.write(runs(id).boot, 'file', '/a', 'b');
  const file = await transfer('GET', `/v1/sandboxes/work/export?memory=true`);
  assert.deepEqual([file.status, file.type], [200, 'application/zstd']);
  assert.equal((await skerry.get(id)).status, 'running');
  while ((await left())[1] > 0) await sleep(5);

  const made = await transfer('POST', '/v1/import?name=copy', file.bytes);
  assert.equal(made.status, 201, made.bytes.toString());
  const copy = json(made.bytes) as unknown as Sandbox;
  assert.deepEqual([copy.name, copy.status, copy.memoryMiB, copy.resume?.from], ['copy', 'running', 512, 'memory']);
  assert.notEqual(copy.id, id);
  assert.notEqual(copy.accessToken, (await skerry.get(id)).accessToken);
  assert.equal(runs(copy.id).memory.get('counter'), '41');
  assert.equal(runs(copy.id).files.get('/a'), 'b');
  assert.deepEqual(await left(), [0, 0]);

  const without = await transfer('GET', `/v1/sandboxes/work/export`);
  const cold = json((await transfer('POST', '/v1/import', without.bytes)).bytes) as unknown as Sandbox;
  assert.deepEqual([cold.status, cold.resume, runs(cold.id).memory.size], ['running', undefined, 0]);
  assert.notEqual(cold.name, 'work', 'its name is taken: another is made up');
  for (const each of [id, copy.id, cold.id]) await skerry.api('DELETE', `/v1/sandboxes/${each}`);
});

test('an import that is not started rests with its memory, and goes on when it is asked to', async () => {
  const { id } = await skerry.create({ name: 'first' });
  skerry.backend.write(runs(id).boot, 'memory', 'counter', '7');
  await skerry.api('POST', `/v1/sandboxes/${id}/pause`);
  const { bytes } = await transfer('GET', `/v1/sandboxes/${id}/export?memory=true`);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
  const made = json((await transfer('POST', '/v1/import?start=false', bytes)).bytes) as unknown as Sandbox;
  assert.deepEqual([made.name, made.status], ['first', 'paused'], JSON.stringify(made));
  assert.deepEqual(await left(), [1, 1]);
  const resumed = await skerry.api('POST', `/v1/sandboxes/${made.id}/resume`);
  assert.equal(resumed.status, 200, JSON.stringify(resumed.body));
  assert.equal(runs(made.id).memory.get('counter'), '7');
  assert.equal(skerry.backend.requestOf(runs(made.id).boot).restoreAs, 'fork');
  assert.deepEqual(await left(), [0, 0]);
  await skerry.api('DELETE', `/v1/sandboxes/${made.id}`);
});

test('memory that no trusted key signed is left out, and the sandbox says so', async () => {
  const { id } = await skerry.create({});
  const { bytes } = await transfer('GET', `/v1/sandboxes/${id}/export?memory=true`);
  skerry.backend.trustsImports = false;
  const made = json((await transfer('POST', '/v1/import', bytes)).bytes) as unknown as Sandbox;
  skerry.backend.trustsImports = true;
  assert.deepEqual([made.status, made.resume?.from, made.resume?.lost], ['running', 'disk', 'processes']);
  assert.match(made.resume?.why ?? '', /no trusted key/);
  for (const each of [id, made.id]) await skerry.api('DELETE', `/v1/sandboxes/${each}`);
});

test('a damaged file is refused, and leaves nothing', async () => {
  const { id } = await skerry.create({});
  const { bytes } = await transfer('GET', `/v1/sandboxes/${id}/export`);
  const flipped = Buffer.from(bytes);
  flipped[flipped.length - 5] = (flipped[flipped.length - 5] ?? 0) ^ 1;
  for (const file of [flipped, bytes.subarray(0, bytes.length / 2)]) {
    const refused = await transfer('POST', '/v1/import', file);
    assert.deepEqual([refused.status, json(refused.bytes)['code']], [500, 'data_loss'], refused.bytes.toString());
  }
  assert.deepEqual(await left(), [0, 0]);
  const page = await skerry.api('GET', '/v1/sandboxes');
  assert.equal((page.body['items'] as unknown[]).length, 1);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('an export that is refused is a problem and leaves nothing; what an earlier server left is given up', async () => {
  assert.equal((await transfer('GET', '/v1/sandboxes/nobody/export')).status, 404);
  const { id } = await skerry.create({});
  skerry.backend.faults.inject({ call: 'exportSnapshot', when: 'before' });
  const refused = await transfer('GET', `/v1/sandboxes/${id}/export`);
  assert.equal(refused.status, 503);
  assert.match(refused.type, /^application\/problem\+json/);
  assert.deepEqual(await left(), [0, 0]);

  const record = await skerry.store.sandboxes.find(id as SandboxId);
  assert.ok(record !== undefined);
  await skerry.store.snapshots.insert(
    newSnapshotRecord(record, { id: newId('snapshot'), kind: 'disk', origin: 'export' }),
  );
  await skerry.down();
  await skerry.up();
  while ((await skerry.store.snapshots.listAll()).length > 0) await sleep(5);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('diff tells files between sandboxes and snapshots by id or name', async () => {
  const { id } = await skerry.create({ name: 'box' });
  const { boot } = runs(id);
  skerry.backend.write(boot, 'file', '/same', '1');
  skerry.backend.write(boot, 'file', '/old', '1');
  const made = await skerry.api('POST', '/v1/sandboxes/box/snapshots', { name: 'before' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  skerry.backend.write(boot, 'file', '/old', '22');
  skerry.backend.write(boot, 'file', '/new', '333');
  const { status, body } = await skerry.api('GET', '/v1/diff?from=before&to=box');
  assert.equal(status, 200, JSON.stringify(body));
  const changes = body['changes'] as { change: string; path: string }[];
  assert.deepEqual(
    changes.map(({ change, path }) => `${change} ${path}`),
    ['added /new', 'changed /old'],
  );
  const back = await skerry.api('GET', `/v1/diff?from=${id}&to=${String(made.body['id'])}`);
  assert.deepEqual(
    (back.body['changes'] as { change: string }[]).map(({ change }) => change),
    ['deleted', 'changed'],
  );
  const missing = await skerry.api('GET', '/v1/diff?from=box&to=nothing');
  assert.deepEqual([missing.status, missing.body['code']], [404, 'not_found']);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});
