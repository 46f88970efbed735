import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId, type SnapshotReport } from '@skerry/model';
import { HostProcess, readOnHost, type TestSandbox } from '../testing/host-process.ts';
import { runInside, startInside, typeInside } from '../testing/inside.ts';

let host: HostProcess;
before(async () => {
  host = await HostProcess.start(4096, true);
});
after(async () => {
  await host[Symbol.asyncDispose]();
});

/** Numbers that a program draws once and keeps, a counter that counts by the clock, and a file that grows. */
const program = `
import os, random, time, threading
secret = random.getrandbits(64)
count = 0
def grow():
    with open('/root/growing', 'a', buffering=1) as file:
        n = 0
        while True:
            file.write(f'{n}\\n')
            n += 1
            time.sleep(0.01)
threading.Thread(target=grow, daemon=True).start()
while True:
    count += 1
    with open('/dev/shm/state.tmp', 'w') as file:
        file.write(f'{os.getpid()} {secret} {count}')
    os.replace('/dev/shm/state.tmp', '/dev/shm/state')
    time.sleep(0.01)
`;

interface State {
  readonly pid: string;
  readonly secret: string;
  readonly count: number;
}

async function stateOf(address: string): Promise<State> {
  const [pid = '', secret = '', count = ''] = (await runInside(address, 'cat /dev/shm/state')).split(' ');
  return { pid, secret, count: Number(count) };
}

async function begin(): Promise<{ sandbox: TestSandbox; address: string; state: State }> {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox, { image: 'base', sizeMiB: 512 });
  const { address = '', exit } = await host.putBoot(sandbox);
  assert.equal(exit, undefined);
  await startInside(address, 'program', `exec python3 -u -c "$(cat <<'PY'\n${program}\nPY\n)"`);
  await startInside(address, 'shell', 'exec bash --norc -i', true);
  await typeInside(address, 'shell', 'kept=$RANDOM-$$; echo $kept > /root/before\n');
  await runInside(address, 'until test -s /dev/shm/state -a -s /root/before; do sleep 0.05; done');
  return { sandbox, address, state: await stateOf(address) };
}

/** Every line of the growing file is one more than the one before: nothing of it is lost or twice. */
function isGapless(text: string): boolean {
  return text
    .split('\n')
    .slice(0, -1)
    .every((line, index) => line === String(index));
}

async function goesOn(address: string, before: State): Promise<void> {
  const now = await stateOf(address);
  assert.equal(now.pid, before.pid);
  assert.equal(now.secret, before.secret);
  assert.ok(now.count >= before.count, `${now.count} after ${before.count}`);
  await runInside(address, `until test "$(cut -d' ' -f3 /dev/shm/state)" -gt ${now.count}; do sleep 0.05; done`);
  await typeInside(address, 'shell', 'echo $kept > /root/after\n');
  await runInside(address, 'until cmp /root/before /root/after; do sleep 0.05; done');
}

async function figures(report: SnapshotReport, beganAt: number): Promise<string> {
  const { stallMs, memoryBytes } = report;
  return `stall ${stallMs} ms, durable ${Math.round(performance.now() - beganAt)} ms, image ${Math.round(memoryBytes / 1024)} KiB`;
}

test('a paused sandbox goes on where it was: Python with data in memory, a shell, a file that grows', async (t) => {
  const { sandbox, state } = await begin();
  const beganAt = performance.now();
  const point = await host.save(sandbox, { end: true });
  t.diagnostic(`pause: ${await figures(point, beganAt)}`);
  assert.equal((await host.getBoot(sandbox)).exit?.reason, 'paused');
  assert.deepEqual(await host.save(sandbox, { snapshotId: point.snapshotId, end: true }), point);
  const next = { ...sandbox, bootId: newId('boot') };
  const resumedAt = performance.now();
  const { address = '', exit } = await host.putBoot(next, { restoreFrom: point.snapshotId });
  assert.equal(exit, undefined, JSON.stringify(exit));
  await runInside(address, 'true');
  t.diagnostic(`resume to first command: ${Math.round(performance.now() - resumedAt)} ms`);
  await goesOn(address, state);
  assert.ok(isGapless(await readOnHost(host, sandbox, 'root/growing')));
  // Its files have gone on: the point is of an earlier time, and may not be put under them.
  await host.stop(next);
  const third = { ...sandbox, bootId: newId('boot') };
  const late = await host.putBoot(third, { restoreFrom: point.snapshotId });
  assert.equal(late.exit?.reason, 'restore_failed', JSON.stringify(late));
  assert.match(late.exit.detail, /changed since/);
  for (const each of [sandbox, next, third]) await host.call('DELETE', `/v1/boots/${each.bootId}`);
  await host.call('DELETE', `/v1/snapshots/${point.snapshotId}`);
  await host.destroy(third);
});

test('a snapshot of a running sandbox that writes is of one instant, and forks of it share nothing', async (t) => {
  const { sandbox, address, state } = await begin();
  const beganAt = performance.now();
  const snapshot = await host.save(sandbox);
  t.diagnostic(`memory snapshot: ${await figures(snapshot, beganAt)}`);
  await goesOn(address, state);
  const forks = [host.newSandbox(), host.newSandbox()];
  const addresses: string[] = [];
  for (const fork of forks) {
    await host.putDisk(fork, { image: 'base', sizeMiB: 512, snapshotId: snapshot.snapshotId });
    const report = await host.putBoot(fork, { restoreFrom: snapshot.snapshotId, restoreAs: 'fork' });
    assert.equal(report.state, 'running', JSON.stringify(report.exit));
    addresses.push(report.address ?? '');
  }
  for (const [index, fork] of forks.entries()) {
    await goesOn(addresses[index] ?? '', state);
    await runInside(addresses[index] ?? '', `echo ${fork.sandboxId} > /root/mine`);
    assert.ok(isGapless(await readOnHost(host, fork, 'root/growing')));
  }
  const generations = await Promise.all(addresses.map((each) => runInside(each, 'cat /run/skerry/generation.json')));
  assert.notEqual(generations[0], generations[1]);
  await host.call('DELETE', `/v1/snapshots/${snapshot.snapshotId}`);
  for (const [index, fork] of forks.entries())
    assert.equal((await runInside(addresses[index] ?? '', 'cat /root/mine')).trim(), fork.sandboxId);
  await goesOn(address, state);
  for (const each of [...forks, sandbox]) await host.destroy(each);
  await host.call('POST', '/v1/garbage/collect', { minAgeMs: 0 });
  assert.deepEqual(await host.remains(), []);
});

test('a snapshot of files needs no guest, and a boot from it has what was written before', async (t) => {
  const { sandbox, address } = await begin();
  await runInside(address, 'echo written > /root/file');
  await startInside(address, 'stopper', 'sleep 0.3; kill -STOP 1; touch /root/stopped');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const beganAt = performance.now();
  const snapshot = await host.save(sandbox, { memory: false });
  t.diagnostic(`disk snapshot: ${await figures(snapshot, beganAt)}`);
  assert.equal(snapshot.kind, 'disk');
  const other = host.newSandbox();
  await host.putDisk(other, { image: 'base', sizeMiB: 512, snapshotId: snapshot.snapshotId });
  assert.equal((await host.putBoot(other)).state, 'running');
  assert.equal(await readOnHost(host, other, 'root/file'), 'written\n');
  for (const each of [other, sandbox]) await host.destroy(each);
  await host.call('DELETE', `/v1/snapshots/${snapshot.snapshotId}`);
});
