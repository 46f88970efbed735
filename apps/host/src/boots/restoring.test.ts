import assert from 'node:assert/strict';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { damageFakeImage } from '@skerry/engine/fake';
import { newId, Problem, type SnapshotId } from '@skerry/model';
import { BootsBench } from '../testing/boots-bench.ts';
import type { BootSpec } from './boot-record.ts';

const owner = { version: 1, project: 'p', sandbox: {} } as const;

/** A bench with a daemon and a sandbox that was paused: its disk, and the boot that would go on from there. */
async function paused(bench: BootsBench) {
  const daemon = await bench.openAll();
  const spec = await bench.bootable();
  await daemon.boots.put(spec);
  const snapshotId = newId('snapshot');
  await daemon.maker.make({
    snapshotId,
    sandboxId: bench.sandboxId,
    source: { type: 'boot', bootId: spec.bootId, memory: true, end: true },
    origin: 'pause',
    owner,
  });
  const next: BootSpec = { ...spec, bootId: newId('boot'), restoreFrom: snapshotId, restoreAs: 'resume' };
  return { ...daemon, spec, snapshotId, next };
}

type Damage = (bench: BootsBench, snapshotId: SnapshotId, memory: string) => Promise<unknown>;
const damages: Record<string, { readonly damage: Damage; readonly detail: RegExp }> = {
  'is truncated': {
    damage: (_, __, memory) => damageFakeImage(memory, 'truncated'),
    detail: /has 2048 bytes, not 4096/,
  },
  'has a flipped bit': {
    damage: (_, __, memory) => damageFakeImage(memory, 'flipped'),
    detail: /content .* has changed/,
  },
  'is missing': { damage: (_, __, memory) => damageFakeImage(memory, 'missing'), detail: /is missing/ },
  'is gone as a whole': { damage: (_, __, memory) => rm(memory, { recursive: true }), detail: /is missing/ },
  'needs another processor': {
    damage: async (bench) => void (bench.engine.cpuFeatures = []),
    detail: /processor lacks fake-feature/,
  },
  'needs a build of the engine that is gone': {
    damage: async (bench) => {
      bench.engine.build = 'fake-2';
      bench.machine.builds.clear();
    },
    detail: /build "fake-1"/,
  },
};

for (const [how, { damage, detail }] of Object.entries(damages))
  test(`a memory image that ${how} is noticed before anything runs, and the files are whole`, async () => {
    await using bench = await BootsBench.make();
    const { boots, snapshotId, snapshots, spec, next } = await paused(bench);
    const starts = bench.machine.starts;
    await damage(bench, snapshotId, snapshots.memoryDirectoryOf(snapshotId));
    const report = await boots.put(next);
    assert.equal(report.exit?.reason, 'restore_failed');
    assert.match(report.exit.detail, detail);
    assert.equal(bench.machine.starts, starts, 'nothing ran');
    assert.deepEqual(bench.disks.points.get(spec.diskId), { snapshotId, begun: false });
    assert.ok(snapshots.has(snapshotId), 'the point stays');
    const cold = { ...spec, bootId: newId('boot') };
    assert.equal((await boots.put(cold)).state, 'running');
    assert.equal(await readFile(join(bench.directory, 'disks', spec.diskId, 'file'), 'utf8'), 'content');
  });

test('a boot with less memory, from a snapshot of files, or from none ends as restore_failed', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker, next, spec } = await paused(bench);
  const disk = newId('snapshot');
  await maker.make({
    snapshotId: disk,
    sandboxId: bench.sandboxId,
    source: { type: 'disk', diskId: spec.diskId },
    origin: 'user',
    owner,
  });
  for (const [change, detail] of [
    [{ memoryMiB: 128 }, /256 MiB/],
    [{ restoreFrom: disk }, /files only/],
    [{ restoreFrom: newId('snapshot') }, /no snapshot/],
  ] as const) {
    const report = await boots.put({ ...next, bootId: newId('boot'), ...change });
    assert.equal(report.exit?.reason, 'restore_failed');
    assert.match(report.exit.detail, detail);
  }
  assert.equal((await boots.put(next)).state, 'running', 'the point can still be used');
});

test('a restore that fails half-way is told so, and the next boot has the files of the point', async () => {
  await using bench = await BootsBench.make();
  const { boots, next, spec, snapshotId } = await paused(bench);
  const file = join(bench.directory, 'disks', spec.diskId, 'file');
  bench.guest.init = { status: 500, body: {} };
  const report = await boots.put(next);
  assert.equal(report.exit?.reason, 'restore_failed');
  assert.equal(bench.disks.points.get(spec.diskId)?.begun, true);
  // What ran for an instant wrote something, and nobody was told that it ran.
  await writeFile(file, 'something else');
  bench.guest.init = { status: 200, body: { guestVersion: 'fake', protocolVersion: 1 } };
  assert.equal((await boots.put({ ...next, bootId: newId('boot') })).state, 'running');
  assert.equal(await readFile(file, 'utf8'), 'content');
  assert.equal(bench.disks.points.get(spec.diskId), undefined);
  assert.ok(snapshotId);
});

test('a restore without room is a start that failed: the point is not given up for it', async () => {
  await using bench = await BootsBench.make();
  const { boots, next } = await paused(bench);
  bench.engine.fail('restore', new Problem('exhausted', 'The engine has no room', { exhaustion: 'capacity' }));
  assert.equal((await boots.put(next)).exit?.reason, 'start_failed');
  assert.equal((await boots.put({ ...next, bootId: newId('boot') })).state, 'running');
});

test('a daemon that was killed while it restored says that another try is fine, and the try works', async () => {
  await using bench = await BootsBench.make();
  const { boots, next } = await paused(bench);
  bench.guest.init = undefined;
  void boots.put(next);
  const until = Date.now() + 5000;
  while (!bench.guest.calls.some(({ body }) => body['bootId'] === next.bootId)) {
    assert.ok(Date.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // The directory as it is now, for a daemon that knows nothing of the first.
  await using twin = await BootsBench.make(bench.sandboxId);
  await rm(twin.directory, { recursive: true });
  await cp(bench.directory, twin.directory, { recursive: true });
  for (const [diskId, point] of bench.disks.points) twin.disks.points.set(diskId, point);
  const second = await twin.openAll();
  const left = await second.boots.put(next);
  assert.equal(left.exit?.reason, 'start_failed');
  assert.equal((await second.boots.put({ ...next, bootId: newId('boot') })).state, 'running');
  await boots.stop(next.bootId, 0);
});

test('a snapshot is not deleted while a boot starts from it, and is afterwards', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker, snapshots, next, snapshotId } = await paused(bench);
  bench.engine.delay('restore', 100);
  const starting = boots.put(next);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await assert.rejects(maker.delete(snapshotId), { reason: 'snapshot_in_use' });
  assert.equal((await starting).state, 'running');
  await maker.delete(snapshotId);
  await maker.delete(snapshotId);
  assert.ok(!snapshots.has(snapshotId));
  assert.throws(() => snapshots.get(snapshotId), { code: 'not_found' });
});

test('a snapshot of a snapshot has its files and its memory, and outlives it', async () => {
  await using bench = await BootsBench.make();
  const { boots, maker, next, snapshotId, spec } = await paused(bench);
  const copy = newId('snapshot');
  const source = { type: 'snapshot', snapshotId } as const;
  const made = await maker.make({ snapshotId: copy, sandboxId: bench.sandboxId, source, origin: 'user', owner });
  assert.equal(made.kind, 'memory');
  await maker.delete(snapshotId);
  bench.disks.points.set(spec.diskId, { snapshotId: copy, begun: false });
  assert.equal((await boots.put({ ...next, restoreFrom: copy, restoreAs: 'fork' })).state, 'running');
  assert.match(JSON.stringify(bench.guest.calls.at(-1)?.body['restored']), /"as":"fork"/);
});

test('verify() notices a flip anywhere in the memory, and the next daemon knows the same snapshots', async () => {
  await using bench = await BootsBench.make();
  const { snapshots, snapshotId } = await paused(bench);
  await snapshots.verify(snapshotId);
  await snapshots.setOwner(snapshotId, { ...owner, project: 'other' });
  const before = await snapshots.reports();
  const { snapshots: later } = await bench.openAll();
  assert.deepEqual(await later.reports(), before);
  assert.equal(before[0]?.owner.project, 'other');
  await damageFakeImage(later.memoryDirectoryOf(snapshotId), 'flipped');
  await assert.rejects(later.verify(snapshotId), { code: 'data_loss', reason: 'memory_image_damaged' });
});

test('a snapshot whose record is not readable is told of and kept', async () => {
  await using bench = await BootsBench.make();
  const { snapshotId } = await paused(bench);
  await writeFile(join(bench.directory, 'snapshots', snapshotId, 'snapshot.json'), '{"formatVersion":2}');
  const { snapshots } = await bench.openAll();
  assert.ok(!snapshots.has(snapshotId));
  assert.ok(snapshots.isUnreadable(snapshotId));
  assert.throws(() => snapshots.get(snapshotId), { code: 'data_loss' });
  await snapshots.delete(snapshotId);
  assert.throws(() => snapshots.get(snapshotId), { code: 'not_found' });
});
