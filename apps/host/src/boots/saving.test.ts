import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fakeInputOutputError, fakeNoSpace } from '@skerry/engine/fake';
import { type BootId, newId, Problem, type SnapshotId } from '@skerry/model';
import type { SnapshotSpec } from '../snapshots/snapshot-maker.ts';
import { BootsBench, ended } from '../testing/boots-bench.ts';

const owner = { version: 1, project: 'p', sandbox: {} } as const;

function ofBoot(bench: BootsBench, bootId: BootId, end: boolean, memory = true): SnapshotSpec {
  return {
    snapshotId: newId('snapshot'),
    sandboxId: bench.sandboxId,
    source: { type: 'boot', bootId, memory, end },
    origin: end ? 'pause' : 'user',
    owner,
  };
}

function errno(code: string, words: string): Error {
  return Object.assign(new Error(`${code}: ${words}`), { code });
}

/** What a boot is like that nobody has touched: it runs, its guest serves, and no trace of a snapshot is there. */
async function isUntouched(bench: BootsBench, bootId: BootId): Promise<void> {
  const boot = bench.machine.boots.get(bootId);
  assert.equal(boot?.suspended, false, 'it is suspended');
  assert.equal(boot.exit, undefined, 'it has ended');
  assert.equal(bench.guest.held, false, 'its guest holds requests back');
  const record = JSON.parse(await readFile(join(bench.directory, 'boots', bootId, 'boot.json'), 'utf8')) as object;
  assert.ok(!('saving' in record), 'its record says that it is being saved');
  assert.deepEqual(await readdir(join(bench.directory, 'trash')), []);
}

test('a pause ends the boot once its memory and files are saved, and another boot goes on from there', async () => {
  await using bench = await BootsBench.make();
  const { boots, snapshots, maker } = await bench.openAll();
  const spec = await bench.bootable();
  await boots.put(spec);
  bench.machine.boots.get(spec.bootId)?.memory.set('key', 'value');
  const pause = ofBoot(bench, spec.bootId, true);
  const report = await maker.make(pause);
  assert.deepEqual(
    bench.guest.calls.map(({ path, body }) => [path, body['for']]),
    [
      ['/init', undefined],
      ['/suspend', 'pause'],
    ],
  );
  assert.equal(report.kind, 'memory');
  assert.equal(report.memoryMiB, 256);
  assert.equal(report.guestDigest, 'd1');
  assert.ok(report.memoryBytes > 0);
  assert.equal(boots.get(spec.bootId).exit?.reason, 'paused');
  assert.equal(bench.network.leases.size, 0);
  assert.equal(await readFile(join(snapshots.rootOf(pause.snapshotId), 'file'), 'utf8'), 'content');
  assert.deepEqual(await maker.make(pause), report, 'the same call gives the same snapshot');
  const next = { ...spec, bootId: newId('boot'), restoreFrom: pause.snapshotId, restoreAs: 'resume' as const };
  assert.equal((await boots.put(next)).state, 'running');
  assert.equal(bench.machine.boots.get(next.bootId)?.memory.get('key'), 'value');
  const init = bench.guest.calls.at(-1)?.body ?? {};
  assert.deepEqual(init['restored'], {
    as: 'resume',
    savedAtUnixMs: snapshots.get(pause.snapshotId).savedAtMs,
  });
  assert.match(String(init['generationId']), /^[0-9a-f]{32}$/);
  assert.equal(bench.disks.points.size, 0, 'the disk has files of its own again');
});

test('a snapshot of a boot that goes on leaves it as it was; one of its files asks neither guest nor engine', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker } = await bench.openAll();
  const spec = await bench.bootable();
  await boots.put(spec);
  const first = await maker.make(ofBoot(bench, spec.bootId, false));
  await isUntouched(bench, spec.bootId);
  assert.ok((first.stallMs ?? -1) >= 0);
  bench.guest.suspendStatus = undefined;
  bench.engine.fail('suspend', new Error('must not be called'));
  const second = await maker.make(ofBoot(bench, spec.bootId, false, false));
  assert.equal(second.kind, 'disk');
  assert.equal(second.engine, undefined);
  assert.equal((await boots.stop(spec.bootId, 0)).exit?.reason, 'stopped');
});

test('calls with one id share the work; others wait for their turn', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker } = await bench.openAll();
  const spec = await bench.bootable();
  await boots.put(spec);
  const snapshot = ofBoot(bench, spec.bootId, false);
  const other = ofBoot(bench, spec.bootId, false);
  const [one, two, three] = await Promise.all([maker.make(snapshot), maker.make(snapshot), maker.make(other)]);
  assert.deepEqual(one, two);
  assert.notEqual(one.snapshotId, three.snapshotId);
  assert.equal(bench.guest.calls.filter(({ path }) => path === '/suspend').length, 2);
  await assert.rejects(maker.make({ ...snapshot, sandboxId: newId('sandbox') }), { reason: 'snapshot_of_another' });
});

const noSpace = errno('ENOSPC', 'no space left on device, write');
const inputOutput = errno('EIO', 'i/o error, fsync');
type Break = (bench: BootsBench, error: Error) => void;
const breaks: Record<string, Break> = {
  'the early sync': (bench, error) => void (bench.syncFailure = error),
  'making its directory': (bench, error) => bench.files.fail('makeDirectory', error),
  'copying its files': (bench, error) => bench.files.fail('copyTree', error),
  'copying its files, at the end': (bench, error) => bench.files.fail('copyTree', error, true),
  'syncing its memory': (bench, error) => bench.files.fail('sealMemory', error),
  'writing its record': (bench, error) => bench.files.fail('writeRecord', error),
  'giving it its name': (bench, error) => bench.files.fail('publish', error),
  'making its name durable': (bench, error) => bench.files.fail('publish', error, true),
};

for (const [where, breakIt] of Object.entries(breaks))
  for (const [error, code, words] of [
    [noSpace, 'exhausted', /the host has 1.0 TiB to give/],
    [inputOutput, 'internal', /disk failed/],
  ] as const)
    for (const end of [true, false])
      test(`${end ? 'a pause' : 'a snapshot'} that meets ${error.message.split(':')[0]} at ${where} leaves everything as it was`, async () => {
        await using bench = await BootsBench.make();
        const { boots, snapshots, maker } = await bench.openAll();
        const spec = await bench.bootable();
        await boots.put(spec);
        const earlier = await maker.make(ofBoot(bench, spec.bootId, false));
        breakIt(bench, error);
        const refused = ofBoot(bench, spec.bootId, end);
        const problem = await maker.make(refused).catch((thrown: unknown) => thrown);
        assert.ok(problem instanceof Problem, String(problem));
        assert.equal(problem.code, code);
        assert.match(problem.message, words);
        if (code === 'exhausted') assert.match(problem.hint ?? '', /skerry snapshot rm.*skerry gc/);
        await isUntouched(bench, spec.bootId);
        assert.equal(bench.disks.points.size, 0);
        assert.deepEqual(await readdir(join(bench.directory, 'snapshots')), [earlier.snapshotId]);
        await snapshots.checkMemory(earlier.snapshotId);
        await maker.make(refused);
        assert.equal(boots.get(spec.bootId).state, end ? 'ended' : 'running');
      });

const failures: Record<string, (bench: BootsBench) => void> = {
  'suspending it': (bench) => bench.engine.fail('suspend', new Problem('deadline', 'It takes too long')),
  'saving its memory to a full disk': (bench) => bench.engine.fail('saveMemory', fakeNoSpace()),
  'saving its memory to a broken disk': (bench) => bench.engine.fail('saveMemory', fakeInputOutputError()),
  'letting its guest get ready': (bench) => void (bench.guest.suspendStatus = 500),
  'marking its disk': (bench) => void (bench.disks.markFailure = noSpace),
};
for (const [where, breakIt] of Object.entries(failures))
  test(`a pause that fails at ${where} leaves everything as it was`, async () => {
    await using bench = await BootsBench.make();
    const { boots, maker } = await bench.openAll();
    const spec = await bench.bootable();
    await boots.put(spec);
    breakIt(bench);
    const pause = ofBoot(bench, spec.bootId, true);
    await assert.rejects(maker.make(pause), (problem) => problem instanceof Problem);
    await isUntouched(bench, spec.bootId);
    assert.deepEqual(await readdir(join(bench.directory, 'snapshots')), []);
    bench.guest.suspendStatus = 200;
    await maker.make(pause);
    assert.equal(boots.get(spec.bootId).exit?.reason, 'paused');
  });

test('a pause that cannot fit is refused before anything stands still, with what it takes', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker } = await bench.openAll();
  const spec = await bench.bootable();
  await boots.put(spec);
  bench.freeBytes = 1024;
  await assert.rejects(maker.make(ofBoot(bench, spec.bootId, true)), { status: 507 });
  assert.ok(!bench.guest.calls.some(({ path }) => path === '/suspend'));
  await isUntouched(bench, spec.bootId);
});

test('a boot that cannot go on at once goes on as soon as it can', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker } = await bench.openAll();
  const spec = await bench.bootable();
  await boots.put(spec);
  bench.engine.fail('unsuspend', new Problem('deadline', 'It takes too long'));
  await maker.make(ofBoot(bench, spec.bootId, false));
  await isUntouched(bench, spec.bootId);
});

test('stop() of a boot that is being saved gives the snapshot up, and a boot that dies meanwhile has ended', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker } = await bench.openAll();
  const [stopped, dies] = [await bench.bootable(), await bench.bootable()];
  for (const spec of [stopped, dies]) await boots.put(spec);
  bench.engine.delay('saveMemory', 300);
  const saves = [stopped, dies].map((spec) => assert.rejects(maker.make(ofBoot(bench, spec.bootId, true))));
  await new Promise((resolve) => setTimeout(resolve, 60));
  bench.engine.end(dies.bootId, { cause: 'out_of_memory', detail: 'oom' });
  assert.equal((await boots.stop(stopped.bootId, 0)).exit?.reason, 'stopped');
  await Promise.all(saves);
  assert.equal((await ended(boots, dies.bootId)).exit?.reason, 'out_of_memory');
  assert.deepEqual(await readdir(join(bench.directory, 'snapshots')), []);
});

/** Leaves a boot as a daemon does that is killed while it saves it. */
async function killedWhileSaving(
  bench: BootsBench,
  bootId: BootId,
  snapshotId: SnapshotId,
  end: boolean,
): Promise<void> {
  const path = join(bench.directory, 'boots', bootId, 'boot.json');
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...record, saving: { snapshotId, memory: true, end } }));
  await bench.engine.suspend(bootId);
  bench.guest.held = true;
}

test('the daemon that follows lets a boot go on whose snapshot was not complete, and makes it when asked again', async () => {
  await using bench = await BootsBench.make();
  const first = await bench.openAll();
  const spec = await bench.bootable();
  await first.boots.put(spec);
  const pause = ofBoot(bench, spec.bootId, true);
  await killedWhileSaving(bench, spec.bootId, pause.snapshotId, true);
  await mkdir(join(bench.directory, 'snapshots', `${pause.snapshotId}.partial`));
  const second = await bench.openAll();
  assert.equal(second.boots.get(spec.bootId).state, 'running');
  const report = await second.maker.make(pause);
  assert.equal(report.snapshotId, pause.snapshotId);
  assert.equal(second.boots.get(spec.bootId).exit?.reason, 'paused');
  assert.ok(bench.guest.calls.some(({ path }) => path === '/resume'));
});

test('the daemon that follows ends a boot whose pause was complete, also after the machine went down', async () => {
  for (const hostBootId of ['uptime-1', 'uptime-2']) {
    await using bench = await BootsBench.make();
    const first = await bench.openAll();
    const spec = await bench.bootable();
    await first.boots.put(spec);
    const snapshot = ofBoot(bench, spec.bootId, false);
    await first.maker.make(snapshot);
    await killedWhileSaving(bench, spec.bootId, snapshot.snapshotId, true);
    const second = await bench.openAll(hostBootId);
    const again = { ...snapshot, source: { type: 'boot', bootId: spec.bootId, memory: true, end: true } } as const;
    await second.maker.make(again);
    assert.equal(second.boots.get(spec.bootId).exit?.reason, 'paused');
  }
});

test('freeze() is undone by thaw, stop and a snapshot with memory, and told by activity()', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker } = await bench.openAll();
  const spec = await bench.bootable();
  await boots.put(spec);
  const frozen = async (): Promise<unknown> => (await boots.activity())[0]?.frozen;
  await Promise.all([boots.freeze(spec.bootId), boots.freeze(spec.bootId)]);
  assert.equal(await frozen(), true);
  assert.equal((await (await bench.open()).activity())[0]?.frozen, true);
  await boots.thaw(spec.bootId);
  assert.equal(await frozen(), false);
  bench.engine.fail('freeze', new Problem('deadline', 'It takes too long'));
  await assert.rejects(boots.freeze(spec.bootId), { code: 'deadline' });
  assert.equal(await frozen(), false);
  await boots.freeze(spec.bootId);
  await maker.make(ofBoot(bench, spec.bootId, false));
  assert.equal(bench.machine.boots.get(spec.bootId)?.frozen, false);
  await boots.freeze(spec.bootId);
  bench.guest.shutdown = async () => {
    assert.equal(bench.machine.boots.get(spec.bootId)?.frozen, false);
  };
  await boots.stop(spec.bootId, 0);
  await assert.rejects(boots.freeze(spec.bootId), { reason: 'boot_not_running' });
  await assert.rejects(maker.make(ofBoot(bench, spec.bootId, true)), { reason: 'boot_not_running' });
  assert.deepEqual(await boots.activity(), []);
});
