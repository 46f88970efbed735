import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type FaultPoint, faultPoints } from './fault-points.ts';
import { HostProcess, type TestSandbox, writeInside } from './testing/host-process.ts';

let host: HostProcess;
before(async () => {
  host = await HostProcess.start();
});
after(async () => {
  await host[Symbol.asyncDispose]();
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
  assert.equal((await host.putBoot(next)).state, 'running');
  return next;
}

for (const point of faultPoints) {
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
    await host.call('POST', '/v1/garbage/collect', { minAgeMs: 0 });
    assert.deepEqual(await host.remains(), []);
    assert.deepEqual(await host.call('GET', '/v1/boots'), { items: [] });
    assert.deepEqual(await host.call('GET', '/v1/disks'), { items: [] });
  });
}
