import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId, Problem } from '@skerry/model';
import { BootsBench, ended } from '../testing/boots-bench.ts';

test('put() sets the guest up with its secret, and with the environment of image, machine and user in this order', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec({ workdir: '/work' });
  const report = await boots.put(spec);
  assert.equal(report.state, 'running');
  assert.deepEqual(report.guest, { version: 'fake', digest: 'd1', protocolVersion: 1 });
  const [call] = bench.guest.calls;
  const started = bench.machine.boots.get(spec.bootId)?.spec;
  assert.equal(call?.path, '/init');
  assert.equal(call.secret, started?.guestEnv['SKERRY_BOOT_SECRET']);
  assert.deepEqual(call.body['env'], { PATH: '/bin', LANG: 'de', HTTP_PROXY: 'mine' });
  assert.equal(call.body['caBundle'], 'PEM');
  assert.equal(call.body['defaultWorkdir'], '/work');
  assert.equal(call.body['generation'], 3);
});

test('put() gives one boot for one id, however often and whenever it is called', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec();
  const reports = await Promise.all([boots.put(spec), boots.put(spec), boots.put(spec)]);
  assert.equal(bench.machine.starts, 1);
  assert.deepEqual(reports[0], reports[2]);
  assert.deepEqual(await boots.put(spec), reports[0]);
  await assert.rejects(boots.put({ ...spec, diskId: newId('disk') }), { reason: 'boot_id_taken' });
});

test('put() reports an end with its reason when the engine fails, and frees what it took', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec();
  bench.engine.fail('start', new Problem('unavailable', 'The engine has no room'));
  const report = await boots.put(spec);
  assert.equal(report.exit?.reason, 'start_failed');
  assert.match(report.exit.detail, /starting its kernel: The engine has no room/);
  assert.equal(bench.network.leases.size, 0);
  assert.equal(bench.holders.size, 0);
  assert.deepEqual(await bench.engine.list(), []);
});

test('put() reports a failed start at once when the first process ends or the guest refuses', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  bench.guest.init = { status: 400, body: { message: 'no' } };
  assert.match((await boots.put(bench.spec())).exit?.detail ?? '', /guest refused "\/init" with status 400/);
  bench.guest.init = undefined;
  bench.engine.scriptedExit = { afterMs: 20, exit: { cause: 'exited', status: 1, detail: 'no such file' } };
  const report = await boots.put(bench.spec());
  assert.equal(report.exit?.reason, 'start_failed');
  assert.match(report.exit.detail, /no such file/);
});

test('put() refuses more isolation and more memory than there is, and a disk in use', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  await assert.rejects(boots.put(bench.spec({ isolation: 'microvm' })), { code: 'unsupported' });
  await assert.rejects(boots.put(bench.spec({ memoryMiB: 5000 })), { reason: 'host_memory_exhausted', status: 503 });
  const spec = bench.spec();
  await boots.put(spec);
  await assert.rejects(boots.put({ ...spec, bootId: newId('boot') }), { code: 'conflict' });
});

test('stop() lets the guest end itself, syncs the disk, and is repeatable', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec();
  await boots.put(spec);
  bench.guest.shutdown = async (graceMs) => {
    assert.equal(graceMs, 700);
    bench.engine.end(spec.bootId, { cause: 'exited', status: 0, detail: 'it ended' });
  };
  const report = await boots.stop(spec.bootId, 700);
  assert.equal(report.exit?.reason, 'stopped');
  assert.equal(report.exit.status, 0);
  assert.equal(report.usage?.networkOutBytes, 2);
  assert.equal(bench.syncs.count, 1);
  assert.deepEqual(await boots.stop(spec.bootId, 700), report);
});

test('stop() kills a guest that does not answer, and a later stop with less grace shortens an earlier one', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec();
  await boots.put(spec);
  bench.guest.shutdown = () => new Promise(() => undefined);
  const slow = boots.stop(spec.bootId, 600_000);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const beganAt = Date.now();
  assert.equal((await boots.stop(spec.bootId, 0)).exit?.reason, 'stopped');
  assert.equal((await slow).exit?.reason, 'stopped');
  assert.ok(Date.now() - beganAt < 5000);
});

test('stop() of a boot that is starting ends it as stopped', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec();
  bench.guest.init = undefined;
  const starting = boots.put(spec);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal((await boots.stop(spec.bootId, 1000)).exit?.reason, 'stopped');
  assert.equal((await starting).exit?.reason, 'stopped');
});

test('a boot whose engine cannot free it is not reported ended before it can', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec();
  await boots.put(spec);
  bench.engine.fail('remove', new Problem('deadline', 'It is wedged'));
  bench.engine.end(spec.bootId, { cause: 'out_of_memory', detail: 'oom' });
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(boots.get(spec.bootId).state, 'running');
  assert.equal((await ended(boots, spec.bootId)).exit?.reason, 'out_of_memory');
});

test('the end of the first process is told with its reason', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const reasonOf = async (exit: Parameters<typeof bench.engine.end>[1]): Promise<string | undefined> => {
    const spec = bench.spec();
    await boots.put(spec);
    bench.engine.end(spec.bootId, exit);
    return (await ended(boots, spec.bootId)).exit?.reason;
  };
  assert.equal(await reasonOf({ cause: 'exited', status: 0, detail: '' }), 'exited');
  assert.equal(await reasonOf({ cause: 'killed', signal: 9, detail: '' }), 'killed');
  assert.equal(await reasonOf({ cause: 'out_of_processes', detail: '' }), 'out_of_processes');
  bench.disks.full = true;
  assert.equal(await reasonOf({ cause: 'exited', status: 1, detail: '' }), 'out_of_disk');
  assert.equal(await reasonOf({ cause: 'exited', status: 0, detail: '' }), 'exited');
});

test('open() takes over what runs, and notices what ended meanwhile or went with the machine', async () => {
  await using bench = await BootsBench.make();
  const first = await bench.open();
  const [runs, endsUnseen] = [bench.spec(), bench.spec()];
  for (const spec of [runs, endsUnseen]) await first.put(spec);
  const before = first.get(runs.bootId);
  bench.machine.boots.delete(endsUnseen.bootId);
  const second = await bench.open();
  assert.deepEqual(second.get(runs.bootId), before);
  assert.equal((await ended(second, endsUnseen.bootId)).exit?.reason, 'engine_failed');
  const third = await bench.open('uptime-2');
  assert.equal((await ended(third, runs.bootId)).exit?.reason, 'host_restarted');
  const fourth = await bench.open('uptime-2');
  assert.equal(fourth.get(runs.bootId).exit?.reason, 'host_restarted');
});

test('delete() ends a running boot, removes all of it, and is repeatable', async () => {
  await using bench = await BootsBench.make();
  const boots = await bench.open();
  const spec = bench.spec();
  await boots.put(spec);
  bench.guest.shutdown = async () => bench.engine.end(spec.bootId, { cause: 'exited', status: 0, detail: '' });
  await Promise.all([boots.delete(spec.bootId), boots.delete(spec.bootId)]);
  await boots.delete(spec.bootId);
  assert.throws(() => boots.get(spec.bootId), { code: 'not_found' });
  assert.deepEqual(await bench.engine.list(), []);
  for (const name of ['boots', 'trash']) assert.deepEqual(await readdir(join(bench.directory, name)), []);
});
