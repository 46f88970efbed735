import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Instance, type SandboxView } from './instance.ts';

let skerry: Instance;
let neighbour: SandboxView;
before(async () => {
  skerry = await Instance.start();
  neighbour = await skerry.create({ name: 'neighbour' });
  await skerry.exec('neighbour', 'while true; do date +%s%N >> ~/beats; sleep 0.2; done', { detach: true });
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

/** Fails unless the neighbour has answered and gone on counting, in the same boot. */
async function neighbourIsWell(): Promise<void> {
  const first = Number(await skerry.sh('neighbour', 'wc -l < ~/beats'));
  assert.equal(await skerry.sh('neighbour', 'sleep 0.6; echo well'), 'well\n');
  assert.ok(Number(await skerry.sh('neighbour', 'wc -l < ~/beats')) > first);
  assert.equal((await skerry.get(neighbour.id)).lastExit, undefined);
}

test('50 sandboxes created at once all answer', async () => {
  const names = Array.from({ length: 50 }, (_, n) => `burst-${n}`);
  const made = await Promise.all(
    names.map((name) =>
      skerry.api('POST', '/v1/sandboxes?wait=180s', { name, kind: 'ephemeral', memoryMiB: 128, cpus: 0.5 }),
    ),
  );
  assert.deepEqual(
    made.filter((answer) => answer.status !== 201).map((answer) => answer.body),
    [],
  );
  const outputs = await Promise.all(names.map((name) => skerry.sh(name, 'hostname')));
  assert.deepEqual(
    outputs.map((output) => output.trim()),
    names,
  );
  await Promise.all(names.map((name) => skerry.remove(name)));
});

test('more memory than the limit ends what takes it, is named, and is not felt next door', async () => {
  const { id } = await skerry.create({ memoryMiB: 256 });
  const { status, body } = await skerry.api('POST', `/v1/sandboxes/${id}/exec`, {
    command: 'python3 -c "x = bytearray(2 << 30); print(\'took it\')"',
    timeoutMs: 60_000,
  });
  if (status === 200) assert.notEqual(body['exitCode'], 0, JSON.stringify(body));
  // Usually only what was greedy dies; sometimes the whole sandbox does, and is booted again.
  const end = Date.now() + 30_000;
  for (;;) {
    const answer = await skerry.api('POST', `/v1/sandboxes/${id}/exec`, { command: 'echo alive' });
    if (answer.body['stdout'] === 'alive\n') break;
    assert.ok(Date.now() < end, JSON.stringify(answer.body));
  }
  const { lastExit } = await skerry.get(id);
  if (lastExit !== undefined) assert.equal(lastExit.reason, 'out_of_memory', JSON.stringify(lastExit));
  await neighbourIsWell();
  await skerry.remove(id);
});

test('a full disk is an error inside that says so, and is not felt next door', async () => {
  const { id } = await skerry.create({ diskMiB: 200 });
  const full = await skerry.exec(id, 'dd if=/dev/zero of=~/big bs=1M count=400', { timeoutMs: 60_000 });
  assert.notEqual(full.exitCode, 0);
  assert.match(full.stderr, /Disk quota exceeded|No space left/);
  const upload = await fetch(`${skerry.url}/v1/sandboxes/${id}/files?path=/home/user/more`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${skerry.key}`, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(20 << 20),
  });
  assert.equal(upload.status, 507, await upload.text());
  await neighbourIsWell();
  await skerry.sh(id, 'rm ~/big; sync; echo room > ~/small');
  await skerry.change(id, 'stop');
  await skerry.change(id, 'start');
  assert.equal(await skerry.sh(id, 'cat ~/small'), 'room\n');
  await skerry.remove(id);
});

test('a fork bomb is contained and the sandbox is of use again', async () => {
  const { id } = await skerry.create({ memoryMiB: 512 });
  await skerry.api('POST', `/v1/sandboxes/${id}/exec`, {
    command: 'bomb() { bomb | bomb & }; bomb; sleep 4',
    timeoutMs: 6000,
  });
  await neighbourIsWell();
  const killed = await skerry.api('POST', `/v1/sandboxes/${id}/exec`, {
    command: 'pkill -9 -u user; true',
    user: 'root',
    timeoutMs: 20_000,
  });
  if (killed.status !== 200) {
    await skerry.change(id, 'stop');
    await skerry.change(id, 'start');
  }
  const view = await skerry.until(id, ['running'], 60_000);
  if (view.lastExit !== undefined)
    assert.ok(
      ['out_of_processes', 'out_of_memory', 'stopped'].includes(view.lastExit.reason),
      JSON.stringify(view.lastExit),
    );
  assert.equal(await skerry.sh(id, 'echo alive', { user: 'root' }), 'alive\n');
  await skerry.remove(id);
});

test('a busy loop takes its share and no more', async () => {
  const { id } = await skerry.create({ cpus: 0.5 });
  await skerry.exec(id, 'for n in 1 2 3 4; do (while :; do :; done) & done; wait', { detach: true });
  await neighbourIsWell();
  await skerry.remove(id);
});

test('output without a reader takes no memory of the host and ends nothing', async () => {
  const { id } = await skerry.create({ memoryMiB: 256 });
  await skerry.exec(id, 'head -c 300M /dev/zero | tr "\\0" x; echo; echo done > ~/done', { detach: true });
  await skerry.sh(id, 'while [ ! -e ~/done ]; do sleep 0.1; done', { timeoutMs: 60_000 });
  assert.equal((await skerry.get(id)).lastExit, undefined);
  await skerry.remove(id);
});

test('20,000 small files are made and counted', async () => {
  const { id } = await skerry.create();
  const count = await skerry.sh(
    id,
    "python3 -c \"import os\nfor d in range(100):\n  os.makedirs(f'/home/user/m/{d}')\n  for f in range(200): open(f'/home/user/m/{d}/{f}', 'w').close()\" && find ~/m -type f | wc -l",
    { timeoutMs: 120_000 },
  );
  assert.equal(count.trim(), '20000');
  await skerry.remove(id);
});

test('a process that ignores SIGTERM does not keep a sandbox from stopping', async () => {
  const { id } = await skerry.create();
  await skerry.exec(id, "trap '' TERM INT HUP; echo up > ~/up; while :; do sleep 1; done", { detach: true });
  await skerry.sh(id, 'while [ ! -e ~/up ]; do sleep 0.1; done');
  const answer = await skerry.api('POST', `/v1/sandboxes/${id}/stop`, { graceMs: 500 });
  assert.deepEqual([answer.status, answer.body['status']], [200, 'stopped']);
  await skerry.remove(id);
});

test('a timeout kills the whole process tree, also what left its group', async () => {
  const { id } = await skerry.create();
  const late = await skerry.exec(id, 'setsid sleep 4711 & sleep 4712', { timeoutMs: 1000 });
  assert.deepEqual([late.exitCode, late.timedOut], [124, true]);
  assert.equal(await skerry.sh(id, 'pgrep -f "sleep 471[12]" || echo none'), 'none\n');
  await skerry.remove(id);
});
