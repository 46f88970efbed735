import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId, type SandboxId } from '@skerry/model';
import type { GarbageList, RecoverAnswer } from '@skerry/protocol';
import { call, TestInstance } from '../../testing/instance.ts';

/** The database is gone; a new, empty one is made anew, and the server starts again as `skerry up` starts it. */
async function loseDatabase(skerry: TestInstance): Promise<void> {
  await skerry.down();
  for (const suffix of ['', '-wal', '-shm']) await rm(join(skerry.directory, `skerry.db${suffix}`), { force: true });
  await skerry.up();
}
async function recover(skerry: TestInstance): Promise<RecoverAnswer> {
  const answer = await call(skerry.settings.adminSocket, 'POST', '/v1/recover', { body: {} });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as unknown as RecoverAnswer;
}
const memoryOf = (skerry: TestInstance, sandboxId: string) => {
  const boot = skerry.backend.contents.boots.find((each) => each.sandboxId === sandboxId && each.state === 'running');
  assert.ok(boot !== undefined);
  return { boot: boot.bootId, ...skerry.backend.read(boot.bootId) };
};

test('recover() brings back running, paused and stopped sandboxes and snapshots, and the first key still opens them', async () => {
  await using skerry = await TestInstance.start();
  const rest = { afterMs: 5000, action: 'stop', wakeOn: 'api', expireAfterMs: 1_000_000 };
  const paused = await skerry.create({ name: 'paused', labels: { team: 'a' }, env: { SECRET: 'x' }, rest });
  skerry.backend.write(memoryOf(skerry, paused.id).boot, 'memory', 'counter', '41');
  await skerry.api('PATCH', '/v1/sandboxes/paused', { name: 'asleep', timeoutMs: 9_000_000 });
  await skerry.api('POST', '/v1/sandboxes/asleep/pause');
  const stopped = await skerry.create({ name: 'stopped', memoryMiB: 256 });
  const snapshot = await skerry.api('POST', `/v1/sandboxes/${stopped.id}/snapshots`, { name: 'before' });
  assert.equal(snapshot.status, 201, JSON.stringify(snapshot.body));
  await skerry.api('POST', '/v1/sandboxes/stopped/stop');
  const running = await skerry.create({ name: 'running' });
  const gone = await skerry.create({ name: 'gone' });
  await skerry.api('DELETE', `/v1/sandboxes/${gone.id}`);
  await skerry.server.core.drives.idle();

  await loseDatabase(skerry);
  const garbage = await skerry.api('POST', '/v1/garbage/collect', { minAgeMs: 0 });
  assert.deepEqual((garbage.body as unknown as GarbageList).items, [], 'what recover wants is not garbage');
  const answer = await recover(skerry);
  assert.deepEqual(answer.sandboxes.map(({ name, status }) => `${name} ${status}`).toSorted(), [
    'asleep paused',
    'running running',
    'stopped stopped',
  ]);
  assert.deepEqual([answer.snapshots.map(({ name }) => name), answer.lost], [['before'], []]);
  assert.match(answer.gone.join(), /API keys but the first/);
  const refused = await call(skerry.settings.adminSocket, 'POST', '/v1/recover', { body: {} });
  assert.deepEqual([refused.status, refused.body['reason']], [412, 'database_present']);

  await skerry.down();
  await skerry.up();
  const found = await skerry.get('asleep');
  assert.deepEqual(
    [found.id, found.labels, found.env, found.rest, found.timeoutAt !== undefined, found.status],
    [paused.id, { team: 'a' }, {}, rest, true, 'paused'],
  );
  const resumed = await skerry.api('POST', '/v1/sandboxes/asleep/resume');
  assert.deepEqual([resumed.status, resumed.body['status']], [200, 'running'], JSON.stringify(resumed.body));
  assert.equal(memoryOf(skerry, paused.id).memory.get('counter'), '41');
  const live = await skerry.get(running.id);
  assert.deepEqual([live.status, live.accessToken], ['running', running.accessToken]);
  assert.equal((await skerry.get('stopped')).memoryMiB, 256);
  const made = await skerry.create({ name: 'again', from: 'before' });
  assert.equal(made.memoryMiB, 256);
  const left = await skerry.api('GET', '/v1/garbage');
  assert.deepEqual(left.body['items'], []);
});

test('recover() tells what it cannot read, and loses nothing of two disks of one sandbox', async () => {
  await using skerry = await TestInstance.start();
  const { id } = await skerry.create({ name: 'twice' });
  await skerry.api('POST', '/v1/sandboxes/twice/stop');
  const [disk] = skerry.backend.contents.disks;
  assert.ok(disk !== undefined);
  const { owner, image, sizeMiB } = disk;
  const spec = { sandboxId: id, image, sizeMiB, durable: true };
  await skerry.backend.createDisk({ ...spec, diskId: newId('disk'), owner });
  const broken = newId('disk');
  const sandboxId = newId('sandbox');
  const blob = { ...owner, sandbox: { ...owner.sandbox, id: sandboxId, resources: 'many' } };
  await skerry.backend.createDisk({ ...spec, diskId: broken, sandboxId, owner: blob });
  await loseDatabase(skerry);
  const answer = await recover(skerry);
  assert.deepEqual(answer.sandboxes.map(({ name }) => name).toSorted(), ['twice', 'twice-2']);
  assert.deepEqual(
    answer.lost.map((lost) => [lost.kind, lost.id, /resources/.test(lost.why)]),
    [['disk', broken, true]],
  );
  await skerry.down();
  await skerry.up();
  const { items } = (await skerry.api('GET', '/v1/garbage')).body as unknown as GarbageList;
  assert.deepEqual(
    items.map(({ name }) => name),
    [broken],
  );
  assert.match(items[0]?.owner ?? '', new RegExp(`sandbox "twice" \\(${sandboxId}\\) of project pj`));
  assert.match(items[0]?.reason ?? '', /database does not know it/);
  // It is kept, unless what is unknown is asked for.
  await skerry.api('POST', '/v1/garbage/collect', { minAgeMs: 0 });
  assert.equal(skerry.backend.contents.disks.length, 3);
  await skerry.api('POST', '/v1/garbage/collect', { minAgeMs: 0, unknown: true });
  assert.equal(skerry.backend.contents.disks.length, 2);
});

test('a point that the disk no longer equals after a loss is refused at the resume, which goes on from the disk', async () => {
  await using skerry = await TestInstance.start();
  const { id } = await skerry.create({ name: 'work' });
  await skerry.api('POST', '/v1/sandboxes/work/pause');
  await skerry.api('POST', '/v1/sandboxes/work/resume');
  skerry.backend.write(memoryOf(skerry, id).boot, 'file', 'new', 'kept');
  skerry.backend.restartMachine();
  await skerry.down();
  for (const { bootId } of skerry.backend.contents.boots) skerry.backend.forget(bootId);
  await loseDatabase(skerry);
  const answer = await recover(skerry);
  assert.deepEqual(
    answer.sandboxes.map(({ status }) => status),
    ['paused'],
  );
  await skerry.down();
  await skerry.up();
  const resumed = await skerry.api('POST', '/v1/sandboxes/work/resume');
  assert.equal(resumed.status, 200, JSON.stringify(resumed.body));
  const { resume } = await skerry.get(id);
  assert.deepEqual([resume?.from, resume?.lost !== undefined, resume?.why !== undefined], ['disk', true, true]);
  assert.equal(memoryOf(skerry, id as SandboxId).files.get('new'), 'kept');
});
