import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { tryCommand } from '@skerry/kit';
import { Instance } from './instance.ts';

let skerry: Instance;
before(async () => {
  skerry = await Instance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

test('a persistent sandbox is created, used, stopped and started again with what was done in it', async () => {
  const sandbox = await skerry.create({ name: 'work' });
  assert.equal(sandbox.status, 'running');
  await skerry.sh('work', 'echo kept > ~/file; sudo sh -c "echo root > /etc/mark"; uname -a >/dev/null');
  const firstBootId = await skerry.sh('work', 'cat /proc/sys/kernel/random/boot_id');
  assert.equal((await skerry.change('work', 'stop')).status, 'stopped');
  const refused = await skerry.api('POST', '/v1/sandboxes/work/exec', { command: 'true' });
  assert.deepEqual([refused.status, refused.body['reason']], [409, 'sandbox_not_running']);
  assert.match(String(refused.body['hint']), /start/);
  assert.equal((await skerry.change('work', 'start')).status, 'running');
  assert.equal(await skerry.sh('work', 'cat ~/file /etc/mark'), 'kept\nroot\n');
  assert.notEqual(await skerry.sh('work', 'cat /proc/sys/kernel/random/boot_id'), firstBootId);
  await skerry.remove('work');
  assert.equal((await skerry.api('GET', '/v1/sandboxes/work')).status, 404);
});

test('every sandbox says which engine isolates it, and the kernel inside is gVisor', async () => {
  const sandbox = await skerry.create();
  assert.match(await skerry.sh(sandbox.id, 'sudo dmesg'), /gVisor/);
  const { body } = await skerry.api('GET', `/v1/sandboxes/${sandbox.id}`);
  assert.deepEqual((body['engine'] as Record<string, unknown>)['isolation'], 'gvisor');
  await skerry.remove(sandbox.id);
});

test('more isolation than the machine has is refused with a reason, never weakened', async () => {
  const { status, body } = await skerry.api('POST', '/v1/sandboxes', { isolation: 'microvm' });
  assert.equal(status, 501, JSON.stringify(body));
  assert.equal(body['code'], 'unsupported');
});

test('a timeout stops a persistent sandbox and deletes an ephemeral one', async () => {
  const kept = await skerry.create({ timeoutMs: 3000 });
  const short = await skerry.create({ kind: 'ephemeral', timeoutMs: 3000 });
  const stopped = await skerry.until(kept.id, ['stopped'], 20_000);
  assert.equal(stopped.reason, 'timeout');
  await skerry.until(short.id, ['deleted'], 20_000);
  await skerry.remove(kept.id);
});

test('Ctrl-C and down rest what is persistent, delete what is ephemeral, and leave nothing running', async () => {
  const kept = await skerry.create({ name: 'kept' });
  const halted = await skerry.create({ name: 'halted' });
  const short = await skerry.create({ kind: 'ephemeral' });
  await skerry.change('halted', 'stop');
  await skerry.sh('kept', 'echo before > ~/mark');
  const supervisors = await skerry.pids('supervisor');
  for (const pid of supervisors) process.kill(pid, 'SIGINT');
  const down = await skerry.down();
  assert.equal(down.status, 0, down.stderr);
  for (const program of ['supervisor', 'host', 'server', 'gateway', 'egress'] as const)
    assert.deepEqual(await skerry.pids(program), [], program);
  assert.deepEqual(await skerry.enginePids('sandbox'), []);
  assert.doesNotMatch(await readFile('/proc/mounts', 'utf8'), new RegExp(skerry.dataDir));
  assert.doesNotMatch((await tryCommand('ip', ['netns', 'list'])).stdout, new RegExp(`sk${skerry.id}`));
  assert.doesNotMatch((await tryCommand('nft', ['list', 'tables'])).stdout, new RegExp(`skerry_${skerry.id}`));
  assert.doesNotMatch((await tryCommand('losetup', ['-a'])).stdout, new RegExp(skerry.dataDir));
  await assert.rejects(access(skerry.runDir));
  await skerry.up();
  await skerry.until(kept.id, ['running']);
  assert.equal(await skerry.sh('kept', 'cat ~/mark'), 'before\n');
  assert.equal((await skerry.get(halted.id)).status, 'stopped');
  assert.equal((await skerry.get(short.id)).status, 'deleted');
  await skerry.remove('kept');
  await skerry.remove('halted');
});
