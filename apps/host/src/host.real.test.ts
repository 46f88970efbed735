import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand, tryCommand } from '@skerry/kit';
import { type BootReport, Problem } from '@skerry/model';
import { HostProcess, readOnHost, writeInside } from './testing/host-process.ts';

let host: HostProcess;
before(async () => {
  host = await HostProcess.start();
});
after(async () => {
  await host[Symbol.asyncDispose]();
});

async function refused(work: Promise<unknown>): Promise<Problem> {
  try {
    await work;
  } catch (error) {
    return Problem.from(error);
  }
  throw new assert.AssertionError({ message: 'it was not refused' });
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`Timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('putBoot() gives a guest that answers, and the disk keeps what it wrote over stop and start', async () => {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  const running = await host.putBoot(sandbox);
  assert.equal(running.state, 'running', JSON.stringify(running.exit));
  assert.match(running.address ?? '', /^10\./);
  assert.equal(await writeInside(running.address ?? '', '/root/kept', 'kept'), 200);
  const stopped = await host.stop(sandbox);
  assert.equal(stopped.exit?.reason, 'stopped');
  assert.ok((stopped.usage?.cpuMs ?? 0) > 0);
  const again = { ...sandbox, bootId: host.newSandbox().bootId };
  const second = await host.putBoot(again);
  assert.equal(second.state, 'running');
  assert.equal(await readOnHost(host, sandbox, 'root/kept'), 'kept');
  assert.equal((await refused(host.call('DELETE', `/v1/disks/${sandbox.diskId}`))).code, 'conflict');
  assert.equal((await refused(host.putBoot({ ...sandbox, bootId: host.newSandbox().bootId }))).code, 'conflict');
  await host.call('DELETE', `/v1/boots/${sandbox.bootId}`);
  await host.destroy(again);
  assert.equal((await refused(host.getBoot(again))).code, 'not_found');
});

test('putBoot() gives the same boot when it is called twice at once and again', async () => {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  await host.putDisk(sandbox);
  const [first, second] = await Promise.all([host.putBoot(sandbox), host.putBoot(sandbox)]);
  assert.deepEqual(first, second);
  assert.deepEqual(await host.putBoot(sandbox), first);
  await host.destroy(sandbox);
  await host.destroy(sandbox);
});

test('putBoot() refuses an isolation, a memory size and a disk that the host has not', async () => {
  const sandbox = host.newSandbox();
  assert.equal((await refused(host.putBoot(sandbox))).reason, 'disk_not_found');
  await host.putDisk(sandbox);
  assert.equal((await refused(host.putBoot(sandbox, { isolation: 'microvm' }))).code, 'unsupported');
  assert.equal((await refused(host.putBoot(sandbox, { memoryMiB: 1024 * 1024 }))).status, 503);
  assert.equal((await refused(host.call('PUT', '/v1/boots/..%2f..%2fetc', {}))).code, 'invalid');
  await host.destroy(sandbox);
});

test('a disk refuses what exceeds its limit, and its neighbour does not notice', async () => {
  const [full, free] = [host.newSandbox(), host.newSandbox()];
  for (const sandbox of [full, free]) await host.putDisk(sandbox, { sizeMiB: 64 });
  const [fullBoot, freeBoot] = [await host.putBoot(full), await host.putBoot(free)];
  const megabytes = Buffer.alloc(80 * 1024 * 1024, 1);
  assert.equal(await writeInside(fullBoot.address ?? '', '/root/big', megabytes), 507);
  assert.equal(await writeInside(freeBoot.address ?? '', '/root/small', 'small'), 200);
  await host.destroy(full);
  await host.destroy(free);
});

test('watch() tells every boot, then that it is synced, then each change', async () => {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  const abort = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const line of host.client.lines('GET', '/v1/watch', { signal: abort.signal })) {
      const event = line as { type: string; boot?: BootReport };
      seen.push(event.boot === undefined ? event.type : event.boot.state);
      if (event.type === 'boot_forgotten') return;
    }
  })();
  await until('the watch', async () => seen.includes('synced'));
  await host.putBoot(sandbox);
  await host.destroy(sandbox);
  await watching;
  abort.abort();
  assert.deepEqual(seen.slice(0, 3), ['synced', 'starting', 'running']);
  assert.deepEqual(seen.slice(-2), ['ended', 'boot_forgotten']);
});

test('the daemon takes a running sandbox over after kill -9 of its own, and stops it', async () => {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  const before = await host.putBoot(sandbox);
  await host.down('SIGKILL');
  assert.equal(await writeInside(before.address ?? '', '/root/meanwhile', 'x'), 200);
  await host.up();
  assert.deepEqual(await host.getBoot(sandbox), before);
  assert.equal(await writeInside(before.address ?? '', '/root/after', 'y'), 200);
  assert.equal((await host.stop(sandbox)).exit?.reason, 'stopped');
  assert.equal(await readOnHost(host, sandbox, 'root/meanwhile'), 'x');
  await host.destroy(sandbox);
});

test('the daemon learns that a sandbox ended, while it runs and while it was away', async () => {
  const sandboxes = [host.newSandbox(), host.newSandbox()] as const;
  for (const sandbox of sandboxes) {
    await host.putDisk(sandbox);
    assert.equal((await host.putBoot(sandbox)).state, 'running');
  }
  // A sandbox that goes within a quarter of a second may have gone with its guest: that is no failure of the engine's.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await killSandbox(sandboxes[0].bootId);
  await until('the exit', async () => (await host.getBoot(sandboxes[0])).state === 'ended');
  await host.down('SIGKILL');
  await killSandbox(sandboxes[1].bootId);
  await host.up();
  await until('the exit', async () => (await host.getBoot(sandboxes[1])).state === 'ended');
  assert.equal((await host.getBoot(sandboxes[0])).exit?.reason, 'engine_failed');
  // Nobody saw the second: whatever is said of it, it is not that somebody asked for it or that the machine went down.
  assert.ok(['exited', 'killed', 'engine_failed'].includes((await host.getBoot(sandboxes[1])).exit?.reason ?? ''));
  for (const sandbox of sandboxes) await host.destroy(sandbox);
});

test('SIGTERM ends the daemon soon and leaves sandboxes running', async () => {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  await host.putBoot(sandbox);
  const beganAt = Date.now();
  await host.down('SIGTERM');
  assert.ok(Date.now() - beganAt < 5000);
  await host.up();
  assert.equal((await host.getBoot(sandbox)).state, 'running');
  await host.destroy(sandbox);
});

test('deleteDisk() leaves no byte of an ephemeral sandbox in the store', async () => {
  const sandbox = host.newSandbox();
  const marker = `marker-${sandbox.sandboxId}`;
  await host.putDisk(sandbox, { durable: false });
  const { address = '' } = await host.putBoot(sandbox);
  assert.equal(await writeInside(address, '/root/small', marker), 200);
  assert.equal(await writeInside(address, '/root/large', `${marker}\n`.repeat(40_000)), 200);
  await runCommand('btrfs', ['filesystem', 'sync', host.config.storeDir]);
  assert.ok(await holds(host.config.storeImage, marker), 'the marker is there before');
  await host.destroy(sandbox);
  assert.ok(!(await holds(host.config.storeImage, marker)), 'the marker is gone after');
  assert.deepEqual(await host.remains(), []);
});

test('tearDown() takes everything off the machine but the data, and the next daemon finds it', async () => {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  const { address = '' } = await host.putBoot(sandbox);
  assert.equal(await writeInside(address, '/root/kept', 'kept'), 200);
  await host.down('SIGKILL');
  assert.match(await host.tearDown(), new RegExp(sandbox.bootId));
  await host.tearDown();
  const { instance, storeDir, storeImage } = host.config;
  assert.ok(!(await readFile('/proc/self/mountinfo', 'utf8')).includes(storeDir));
  assert.equal((await runCommand('losetup', ['--associated', storeImage])).trim(), '');
  assert.ok(!(await runCommand('ip', ['netns', 'list'])).includes(`sk${instance}`));
  assert.ok(!(await runCommand('ip', ['link', 'show'])).includes(`sk${instance}`));
  assert.ok(!(await runCommand('nft', ['list', 'tables'])).includes(instance));
  assert.equal(
    (await runCommand('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-name', `*skerry-${instance}*`])).trim(),
    '',
  );
  await host.up();
  assert.equal((await host.getBoot(sandbox)).exit?.reason, 'stopped');
  assert.equal(await readOnHost(host, sandbox, 'root/kept'), 'kept');
  await host.destroy(sandbox);
});

async function killSandbox(bootId: string): Promise<void> {
  const state = JSON.parse(
    await runCommand(host.config.artifacts.runsc.path, ['--root', join(host.config.runDir, 'runsc'), 'state', bootId]),
  ) as { pid: number };
  process.kill(state.pid, 'SIGKILL');
}

async function holds(file: string, marker: string): Promise<boolean> {
  return (await tryCommand('grep', ['--quiet', '--text', '--fixed-strings', marker, file])).status === 0;
}
