import assert from 'node:assert/strict';
import { open, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand } from '@skerry/kit';
import { newId, Problem, type SnapshotId } from '@skerry/model';
import { HostProcess, readOnHost, type TestSandbox, writeInside } from '../testing/host-process.ts';

let host: HostProcess;
before(async () => {
  host = await HostProcess.start(512);
});
after(async () => {
  await host[Symbol.asyncDispose]();
});

async function running(): Promise<{ sandbox: TestSandbox; address: string }> {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  const { address = '', exit } = await host.putBoot(sandbox);
  assert.equal(exit, undefined, JSON.stringify(exit));
  assert.equal(await writeInside(address, '/root/file', 'content'), 200);
  return { sandbox, address };
}

async function flip(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, at);
}

/** Tries again while the file system still has to give freed space back. */
async function once(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1)
    try {
      return void (await work());
    } catch (error) {
      if (tries === 40 || Problem.from(error).code !== 'exhausted') throw error;
      await runCommand('btrfs', ['filesystem', 'sync', host.config.storeDir]);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
}

const damages: Record<string, (path: string) => Promise<void>> = {
  'a bit of it is flipped': (path) => flip(path, 100),
  'it is cut': (path) => truncate(path, 1000),
  'it is missing': (path) => rm(path),
};
for (const [what, damage] of Object.entries(damages))
  test(`a resume from memory of which ${what} fails before the guest runs, and the files boot`, async () => {
    const { sandbox } = await running();
    const { snapshotId } = await host.save(sandbox, { end: true });
    const directory = join(host.config.storeDir, 'snapshots', snapshotId, 'memory');
    for (const name of await readdir(directory)) {
      const copy = newId('snapshot');
      await host.putSnapshot(sandbox, copy, { type: 'snapshot', snapshotId });
      await damage(join(host.config.storeDir, 'snapshots', copy, 'memory', name));
      await assert.rejects(host.call('POST', `/v1/snapshots/${copy}/verify`, {}), { reason: 'memory_image_damaged' });
      const fork = host.newSandbox();
      await host.putDisk(fork, { snapshotId: copy });
      const failed = await host.putBoot(fork, { restoreFrom: copy, restoreAs: 'fork' });
      assert.equal(failed.exit?.reason, 'restore_failed', `${name}: ${JSON.stringify(failed)}`);
      assert.match(failed.exit.detail, new RegExp(name.replaceAll('.', '\\.')));
      const cold = { ...fork, bootId: newId('boot') };
      assert.equal((await host.putBoot(cold)).state, 'running');
      assert.equal(await readOnHost(host, cold, 'root/file'), 'content');
      await host.call('DELETE', `/v1/boots/${fork.bootId}`);
      await host.destroy(cold);
      await host.call('DELETE', `/v1/snapshots/${copy}`);
    }
    const resumed = { ...sandbox, bootId: newId('boot') };
    assert.equal((await host.putBoot(resumed, { restoreFrom: snapshotId })).state, 'running');
    await host.call('DELETE', `/v1/snapshots/${snapshotId}`);
    await host.call('DELETE', `/v1/boots/${sandbox.bootId}`);
    await host.destroy(resumed);
  });

test('a pause on a full disk is refused with what it takes, the sandbox runs, and the point before still restores', async () => {
  const { sandbox, address } = await running();
  const { snapshotId: earlier } = await host.save(sandbox);
  const filler = join(host.config.storeDir, 'filler');
  await runCommand('fallocate', ['--length', '300M', filler]);
  const snapshotId: SnapshotId = newId('snapshot');
  const refused = await host.save(sandbox, { snapshotId, end: true }).catch((error: unknown) => Problem.from(error));
  assert.ok(refused instanceof Problem);
  assert.equal(refused.status, 507);
  assert.match(refused.message, /takes about [0-9.]+ MiB .* has [0-9.]+ .*B to give/);
  assert.match(refused.hint ?? '', /skerry snapshot rm.*skerry gc/);
  assert.equal(await writeInside(address, '/root/after', 'after'), 200);
  await rm(filler);
  const fork = host.newSandbox();
  await host.putDisk(fork, { snapshotId: earlier });
  assert.equal((await host.putBoot(fork, { restoreFrom: earlier, restoreAs: 'fork' })).state, 'running');
  await once(async () => host.save(sandbox, { snapshotId, end: true }));
  for (const id of [earlier, snapshotId]) await host.call('DELETE', `/v1/snapshots/${id}`);
  for (const each of [sandbox, fork]) await host.destroy(each);
});

test('a frozen sandbox stands still, survives its daemon, goes on when thawed, and stops in time', async () => {
  const { sandbox, address } = await running();
  const frozen = async (): Promise<boolean | undefined> => {
    const { items } = (await host.call('GET', '/v1/activity')) as { items: { bootId: string; frozen: boolean }[] };
    return items.find(({ bootId }) => bootId === sandbox.bootId)?.frozen;
  };
  await host.call('POST', `/v1/boots/${sandbox.bootId}/freeze`, {});
  await host.down('SIGKILL');
  await host.up();
  assert.equal(await frozen(), true);
  await host.call('POST', `/v1/boots/${sandbox.bootId}/thaw`, {});
  assert.equal(await writeInside(address, '/root/after', 'after'), 200);
  await host.call('POST', `/v1/boots/${sandbox.bootId}/freeze`, {});
  const ended = await host.stop(sandbox);
  assert.equal(ended.exit?.reason, 'stopped');
  await host.destroy(sandbox);
});
