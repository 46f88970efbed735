import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { open, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareForks } from '../memory/forks.ts';
import { compareTwins } from '../memory/twins.ts';
import { connectE2b, startE2bControl } from './e2b-control.ts';
import { Instance, type SandboxView } from './instance.ts';

let skerry: Instance;
before(async () => {
  skerry = await Instance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});
const memoryMiB = 256;
const rest = { afterMs: null };

test('live work is after pauses what it is in a twin that was never paused', async () => {
  await compareTwins(skerry, 4);
});

test('forks of a running sandbox share nothing and have identities of their own', async () => {
  await compareForks(skerry, 4);
});

test('a stop gives a new boot of the same disk, and boot_id inside differs', async () => {
  const { id } = await skerry.create({ memoryMiB, rest });
  const bootId = 'cat /proc/sys/kernel/random/boot_id';
  const first = await skerry.sh(id, `${bootId}; echo kept > ~/kept`);
  await skerry.change(id, 'stop');
  await skerry.change(id, 'start');
  assert.notEqual(await skerry.sh(id, bootId), first);
  const { status } = await skerry.api('POST', `/v1/sandboxes/${id}/pause`, { memory: false });
  assert.equal(status, 200);
  assert.equal((await skerry.get(id)).status, 'paused');
  await skerry.change(id, 'resume');
  assert.equal(await skerry.sh(id, 'cat ~/kept'), 'kept\n');
  await skerry.remove(id);
});

test('the clock is right after a pause, and a sleep that began before does not end early', async () => {
  const { id } = await skerry.create({ memoryMiB, rest });
  await skerry.exec(id, 'date +%s%N > ~/begun; sleep 20; date +%s%N > ~/ended', { detach: true });
  await skerry.change(id, 'pause');
  await sleep(5000);
  await skerry.change(id, 'resume');
  const before = Date.now();
  const inside = Number(await skerry.sh(id, 'date +%s%3N'));
  const after = Date.now();
  assert.ok(inside >= before - 50 && inside <= after + 50, `${before} ${inside} ${after}`);
  await skerry.sh(id, 'for i in $(seq 300); do [ -s ~/ended ] && exit 0; sleep 0.1; done; exit 1', {
    timeoutMs: 60_000,
  });
  const sleptMs = Number(await skerry.sh(id, 'echo $(( ($(cat ~/ended) - $(cat ~/begun)) / 1000000 ))'));
  assert.ok(sleptMs >= 19_990, `it slept ${sleptMs} ms`);
  await skerry.remove(id);
});

/** Files of the memory image that a sandbox's pause left. */
async function imageFiles(): Promise<string[]> {
  const directory = join(skerry.dataDir, 'store/snapshots');
  const [snapshot] = (await readdir(directory)).filter((name) => name.startsWith('sn'));
  assert.ok(snapshot !== undefined);
  const memory = join(directory, snapshot, 'memory');
  return (await readdir(memory)).map((name) => join(memory, name));
}

async function flipABit(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 20);
  buffer[0] = (buffer[0] ?? 0) ^ 1;
  await file.write(buffer, 0, 1, 20);
}

for (const [what, damage] of [
  ['missing', async (files: string[]) => Promise.all(files.map((file) => rm(file)))],
  ['truncated', async (files: string[]) => Promise.all(files.map((file) => truncate(file, 100)))],
  ['bit-flipped', async (files: string[]) => Promise.all(files.map(flipABit))],
] as const)
  test(`a ${what} memory image is noticed, and the sandbox comes back from disk and says so`, async () => {
    const { id } = await skerry.create({ memoryMiB, rest });
    await skerry.sh(id, 'echo kept > ~/kept; sync ~/kept');
    await skerry.exec(id, 'sleep 1000', { detach: true });
    await skerry.change(id, 'pause');
    await damage(await imageFiles());
    const resumed = await skerry.change(id, 'resume');
    assert.equal(resumed.status, 'running');
    assert.equal(resumed.resume?.from, 'disk', JSON.stringify(resumed.resume));
    assert.match(resumed.resume?.lost ?? '', /process/);
    assert.notEqual(resumed.resume?.why ?? '', '');
    assert.equal(await skerry.sh(id, 'cat ~/kept; pgrep -c sleep || true'), 'kept\n0\n');
    await skerry.remove(id);
  });

test('a snapshot of a running sandbox is one instant of memory and disk; rollback goes back to it', async () => {
  const { id } = await skerry.create({ memoryMiB, rest });
  const counter = 'n=0; while :; do n=$((n+1)); echo $n > /dev/shm/n; echo $n >> ~/n; sleep 0.01; done';
  await skerry.exec(id, counter, { detach: true });
  await skerry.sh(id, 'while [ ! -s ~/n ]; do sleep 0.05; done');
  const made = await skerry.api('POST', `/v1/sandboxes/${id}/snapshots`, { name: 'instant' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.body['kind'], 'memory');
  const later = Number(await skerry.sh(id, 'cat /dev/shm/n'));
  await sleep(500);
  assert.ok(Number(await skerry.sh(id, 'cat /dev/shm/n')) > later, 'the sandbox goes on');
  const rolled = await skerry.api('POST', `/v1/sandboxes/${id}/rollback`, { snapshot: 'instant' });
  assert.equal(rolled.status, 200, JSON.stringify(rolled.body));
  const lines = (await skerry.sh(id, 'cat ~/n')).trim().split('\n').map(Number);
  assert.deepEqual(
    lines,
    Array.from({ length: lines.length }, (_, index) => index + 1),
    'memory and disk are of one instant: no number is missing and none comes twice',
  );
  const copy = await skerry.create({ from: 'instant', rest });
  const copied = (await skerry.sh(copy.id, 'cat ~/n')).trim().split('\n').map(Number);
  assert.deepEqual(
    copied,
    Array.from({ length: copied.length }, (_, index) => index + 1),
  );
  await skerry.remove(id);
  assert.equal((await skerry.get(copy.id)).status, 'running');
  await skerry.remove(copy.id);
  assert.equal((await skerry.api('DELETE', '/v1/snapshots/instant')).status, 200);
});

test('what streams when a pause comes ends or goes on, and is never left hanging', async () => {
  const made = await skerry.create({ memoryMiB, rest });
  const { id } = made;
  await using control = await startE2bControl(made);
  const sandbox = await connectE2b(skerry, made, control);
  const numbers: string[] = [];
  const handle = await sandbox.commands.run('for n in $(seq 1000); do echo $n; sleep 0.05; done', {
    background: true,
    timeoutMs: 0,
    onStdout: (text: string) => void numbers.push(text),
  });
  const ended = handle.wait().then(
    () => 'ended',
    (error: unknown) => String(error),
  );
  // Our own client waits and goes on by itself.
  const own = spawn(
    join(import.meta.dirname, '../../skerry'),
    ['exec', id, '--', 'bash', '-c', 'for n in $(seq 120); do echo $n; sleep 0.1; done'],
    {
      env: { ...process.env, SKERRY_DATA: skerry.dataDir },
    },
  );
  let printed = '';
  own.stdout.setEncoding('utf8').on('data', (text: string) => void (printed += text));
  let said = '';
  own.stderr.setEncoding('utf8').on('data', (text: string) => void (said += text));
  const exited = new Promise<number | null>((resolve) => void own.once('exit', resolve));
  while (printed.split('\n').length < 5) await sleep(50);
  await skerry.change(id, 'pause');
  const outcome = await Promise.race([ended, sleep(20_000, 'hangs')]);
  assert.notEqual(outcome, 'hangs');
  assert.equal((await skerry.get(id)).status, 'paused', 'a client that waits does not wake it');
  await skerry.change(id, 'resume');
  assert.equal(await exited, 0, said);
  assert.equal(printed, `${Array.from({ length: 120 }, (_, index) => index + 1).join('\n')}\n`);
  await skerry.remove(id);
});

test('memory survives down and up, and kill -9 of all of Skerry while paused', async () => {
  const { id }: SandboxView = await skerry.create({ memoryMiB, rest });
  await skerry.exec(id, 'n=0; while :; do n=$((n+1)); echo $n > /dev/shm/n; sleep 0.05; done', { detach: true });
  await skerry.sh(id, 'while [ ! -s /dev/shm/n ]; do sleep 0.05; done');
  const first = Number(await skerry.sh(id, 'cat /dev/shm/n'));
  assert.equal((await skerry.down()).status, 0);
  await skerry.up();
  await skerry.until(id, ['running']);
  const second = Number(await skerry.sh(id, 'cat /dev/shm/n'));
  assert.ok(second >= first, `${first} ${second}`);
  await skerry.change(id, 'pause');
  for (const program of ['supervisor', 'host', 'server', 'gateway', 'egress'] as const)
    for (const pid of await skerry.pids(program)) process.kill(pid, 'SIGKILL');
  await skerry.up();
  assert.equal((await skerry.get(id)).status, 'paused');
  // A call that needs it wakes it.
  assert.ok(Number(await skerry.sh(id, 'cat /dev/shm/n')) >= second);
  await skerry.remove(id);
});
