import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type FaultPoint, faultPoints } from './fault-points.ts';
import { newId, type SnapshotId } from '@skerry/model';
import { HostProcess, readOnHost, type TestSandbox, writeInside } from './testing/host-process.ts';

let host: HostProcess;
before(async () => {
  host = await HostProcess.start();
});
after(async () => {
  await host[Symbol.asyncDispose]();
});

/** What a test that failed left must not be what the next one finds. */
afterEach(async () => {
  for (const [noun, id] of [
    ['boots', 'bootId'],
    ['disks', 'diskId'],
    ['snapshots', 'snapshotId'],
  ] as const) {
    const { items } = (await host.call('GET', `/v1/${noun}`)) as { items: Record<string, string>[] };
    for (const item of items) await host.call('DELETE', `/v1/${noun}/${item[id]}`);
  }
});

/** Does something with a daemon that dies at a point of it, then again with the next daemon, as the server does. */
async function survive(point: FaultPoint, work: () => Promise<unknown>): Promise<void> {
  await host.arm(point);
  await assert.rejects(work(), 'the daemon died before it answered');
  await host.died();
  await host.up();
  await work();
}

/** A start that the daemon's death undid is reported as a failed one; the server then starts another boot. */
async function startWhatever(sandbox: TestSandbox): Promise<TestSandbox> {
  const report = await host.putBoot(sandbox);
  if (report.state === 'running') return sandbox;
  assert.equal(report.exit?.reason, 'start_failed', JSON.stringify(report));
  await host.call('DELETE', `/v1/boots/${sandbox.bootId}`);
  const next = { ...sandbox, bootId: host.newSandbox().bootId };
  const second = await host.putBoot(next);
  assert.equal(second.state, 'running', JSON.stringify(second));
  return next;
}

/** Points that are met on the way from start to end of one boot that is never saved. */
const plain = faultPoints.filter((point) => !/^(boots\.(save|restore)|snapshots|disks\.settle)\./.test(point));
/** Points of a snapshot of a boot. */
const saving = faultPoints.filter((point) => /^(boots\.save|snapshots\.create)\./.test(point));
/** Points that only a snapshot meets whose boot goes on, one whose boot ends, and one of another snapshot. */
const onlyGoingOn: readonly FaultPoint[] = ['boots.save.released', 'boots.save.done'];
const onlyEnding: readonly FaultPoint[] = ['boots.save.marked'];
const onlyCopy: readonly FaultPoint[] = ['snapshots.create.memory'];

async function nothingIsLeft(): Promise<void> {
  await host.call('POST', '/v1/garbage/collect', { minAgeMs: 0 });
  assert.deepEqual(await host.remains(), []);
  for (const noun of ['boots', 'disks', 'snapshots'])
    assert.deepEqual(await host.call('GET', `/v1/${noun}`), { items: [] });
}

async function running(): Promise<TestSandbox> {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  const { address = '', exit } = await host.putBoot(sandbox);
  assert.equal(exit, undefined, JSON.stringify(exit));
  assert.equal(await writeInside(address, '/root/file', 'content'), 200);
  return sandbox;
}

/** Resumes as the server does: another boot for every start that the daemon's death undid. */
async function resume(sandbox: TestSandbox, snapshotId: SnapshotId): Promise<TestSandbox> {
  for (let tries = 0; tries < 3; tries += 1) {
    const next = { ...sandbox, bootId: newId('boot') };
    const report = await host.putBoot(next, { restoreFrom: snapshotId });
    if (report.state === 'running') return next;
    assert.equal(report.exit?.reason, 'start_failed', JSON.stringify(report));
    await host.call('DELETE', `/v1/boots/${next.bootId}`);
  }
  throw new assert.AssertionError({ message: 'it does not resume' });
}

async function serves(sandbox: TestSandbox): Promise<void> {
  const { address = '' } = await host.getBoot(sandbox);
  assert.equal(await writeInside(address, '/root/after', 'after'), 200);
  assert.equal(await readOnHost(host, sandbox, 'root/file'), 'content');
}

for (const point of saving.filter((name) => !onlyGoingOn.includes(name) && !onlyCopy.includes(name)))
  test(`a pause is made when the daemon is killed at "${point}"`, async () => {
    const sandbox = await running();
    const snapshotId = newId('snapshot');
    await survive(point, () => host.save(sandbox, { snapshotId, end: true }));
    assert.equal((await host.getBoot(sandbox)).exit?.reason, 'paused');
    const next = await resume(sandbox, snapshotId);
    await serves(next);
    await host.call('DELETE', `/v1/snapshots/${snapshotId}`);
    await host.call('DELETE', `/v1/boots/${sandbox.bootId}`);
    await host.destroy(next);
    await nothingIsLeft();
  });

for (const point of saving.filter((name) => !onlyEnding.includes(name) && !onlyCopy.includes(name)))
  test(`a sandbox goes on, and its snapshot is made, when the daemon is killed at "${point}"`, async () => {
    const sandbox = await running();
    const snapshotId = newId('snapshot');
    await host.arm(point);
    await assert.rejects(host.save(sandbox, { snapshotId }));
    await host.died();
    await host.up();
    // Before anybody asks again: it runs and serves.
    await serves(sandbox);
    await host.save(sandbox, { snapshotId });
    await serves(sandbox);
    const fork = host.newSandbox();
    await host.putDisk(fork, { snapshotId });
    assert.equal((await host.putBoot(fork, { restoreFrom: snapshotId, restoreAs: 'fork' })).state, 'running');
    await serves(fork);
    await host.call('DELETE', `/v1/snapshots/${snapshotId}`);
    for (const each of [sandbox, fork]) await host.destroy(each);
    await nothingIsLeft();
  });

for (const point of faultPoints.filter((name) => name.startsWith('boots.restore.') || name.startsWith('disks.settle.')))
  test(`a paused sandbox resumes with its memory when the daemon is killed at "${point}"`, async () => {
    const sandbox = await running();
    const { snapshotId } = await host.save(sandbox, { end: true });
    const next = { ...sandbox, bootId: newId('boot') };
    // The files are taken from the point again only after a resume that was cut off.
    await host.arm(point.startsWith('disks.settle.') ? 'boots.restore.engine' : point);
    await assert.rejects(host.putBoot(next, { restoreFrom: snapshotId }));
    await host.died();
    await host.up();
    const left = await host.putBoot(next, { restoreFrom: snapshotId });
    if (point.startsWith('disks.settle.')) {
      const second = { ...next, bootId: newId('boot') };
      await survive(point, () => host.putBoot(second, { restoreFrom: snapshotId }));
    }
    const resumed = left.state === 'running' ? next : await resume(sandbox, snapshotId);
    await serves(resumed);
    assert.equal((await host.stop(resumed)).exit?.reason, 'stopped');
    await host.call('DELETE', `/v1/snapshots/${snapshotId}`);
    const { items } = (await host.call('GET', '/v1/boots')) as { items: { bootId: string }[] };
    for (const { bootId } of items) await host.call('DELETE', `/v1/boots/${bootId}`);
    await host.destroy(resumed);
    await nothingIsLeft();
  });

for (const point of ['snapshots.create.memory', 'snapshots.create.recorded', 'snapshots.delete.renamed'] as const)
  test(`a snapshot of a snapshot is made and deleted when the daemon is killed at "${point}"`, async () => {
    const sandbox = await running();
    const { snapshotId } = await host.save(sandbox, { end: true });
    const copy = newId('snapshot');
    const make = (): Promise<unknown> => host.putSnapshot(sandbox, copy, { type: 'snapshot', snapshotId });
    if (point === 'snapshots.delete.renamed') {
      await make();
      await survive(point, () => host.call('DELETE', `/v1/snapshots/${snapshotId}`));
    } else await survive(point, make);
    const fork = host.newSandbox();
    await host.putDisk(fork, { snapshotId: copy });
    assert.equal((await host.putBoot(fork, { restoreFrom: copy, restoreAs: 'fork' })).state, 'running');
    await serves(fork);
    for (const id of [snapshotId, copy]) await host.call('DELETE', `/v1/snapshots/${id}`);
    for (const each of [sandbox, fork]) await host.destroy(each);
    await nothingIsLeft();
  });

for (const point of plain) {
  const [noun, verb] = point.split('.');
  test(`${noun}.${verb} is repaired when the daemon is killed at "${point}"`, async () => {
    let sandbox = host.newSandbox();
    if (noun === 'disks' && verb === 'create') await survive(point, () => host.putDisk(sandbox));
    else await host.putDisk(sandbox);
    if (noun === 'boots' && verb === 'start') {
      await host.arm(point);
      await assert.rejects(host.putBoot(sandbox));
      await host.died();
      await host.up();
    }
    sandbox = await startWhatever(sandbox);
    const { address = '' } = await host.getBoot(sandbox);
    assert.equal(await writeInside(address, '/root/file', 'content'), 200);
    if (noun === 'boots' && (verb === 'stop' || verb === 'end')) await survive(point, () => host.stop(sandbox));
    else await host.stop(sandbox);
    const ended = await host.getBoot(sandbox);
    assert.equal(ended.exit?.reason, 'stopped');
    if (point.startsWith('boots.delete.'))
      await survive(point, () => host.call('DELETE', `/v1/boots/${sandbox.bootId}`));
    if (point.startsWith('disks.delete.'))
      await survive(point, () => host.call('DELETE', `/v1/disks/${sandbox.diskId}`));
    await host.destroy(sandbox);
    await nothingIsLeft();
  });
}
