import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
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

/** Everything of the kernel and the disk that could hold a trace of a sandbox, as text. */
async function traces(): Promise<Record<string, string>> {
  const commands: Record<string, readonly [string, ...string[]]> = {
    nft: ['nft', 'list', 'ruleset'],
    namespaces: ['ip', 'netns', 'list'],
    links: ['ip', '-o', 'link'],
    routes: ['ip', 'route', 'show', 'table', 'all'],
    controlGroups: ['find', '/sys/fs/cgroup', '-path', `*skerry-${skerry.id}/*`, '-type', 'd'],
    runtime: ['find', skerry.runDir],
    // The first boot of all brings the engine's build, which stays.
    store: ['find', `${skerry.dataDir}/store`, '-maxdepth', '3', '-not', '-path', '*/store/engines/*'],
    processes: ['ps', '-eo', 'args'],
  };
  const found: Record<string, string> = {};
  for (const [name, [file, ...args]] of Object.entries(commands)) found[name] = (await tryCommand(file, args)).stdout;
  return found;
}

test('after its end nothing of an ephemeral sandbox is on disk, in the kernel, or among the secrets', async () => {
  const before = await traces();
  const marker = `trace${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
  const sandbox = await skerry.create({ kind: 'ephemeral', env: { PASSPHRASE: marker } });
  await skerry.sh(
    sandbox.id,
    `echo ${marker} > ~/a; sudo sh -c 'echo ${marker} > /root/b; mkdir -p /opt/${marker}'; echo ${marker} > /dev/shm/c; echo $PASSPHRASE > ~/d; sync`,
  );
  assert.notEqual(
    (await tryCommand('grep', ['-rlsa', marker, `${skerry.dataDir}/store`])).stdout,
    '',
    'the search finds it while it lives',
  );
  await skerry.remove(sandbox.id);
  assert.equal((await skerry.get(sandbox.id)).status, 'deleted');
  const left = await tryCommand('grep', [
    '-rlsa',
    '-e',
    marker,
    `${skerry.dataDir}/store`,
    `${skerry.dataDir}/server`,
    `${skerry.dataDir}/log`,
    skerry.runDir,
  ]);
  assert.equal(left.stdout, '', 'files that hold the marker');
  const named = await tryCommand('find', [skerry.dataDir, skerry.runDir, '-name', `*${marker}*`]);
  assert.equal(named.stdout, '');
  const now = await traces();
  for (const [name, text] of Object.entries(now))
    assert.ok(!text.includes(sandbox.id), `${name} names the sandbox:\n${text}`);
  assert.equal(now['controlGroups'], before['controlGroups']);
  assert.equal(now['store'], before['store']);
  const garbage = await skerry.api('GET', '/v1/garbage');
  assert.deepEqual(garbage.body['items'], []);
});

test('run ends with the exit code of its command, and its sandbox is gone afterwards', async () => {
  const good = await skerry.skerry([
    'run',
    '--env',
    'WHO=world',
    '--',
    'sh',
    '-c',
    'echo "hello $WHO"; echo aside >&2; exit 7',
  ]);
  assert.deepEqual([good.status, good.stdout, good.stderr.includes('aside')], [7, 'hello world\n', true], good.stderr);
  const input = await skerry.skerry(['run', '--', 'wc', '-c'], { input: 'x'.repeat(100_000) });
  assert.deepEqual([input.status, input.stdout.trim()], [0, '100000'], input.stderr);
  const late = await skerry.skerry(['run', '--timeout', '2s', '--', 'sleep', '60']);
  assert.equal(late.status, 124, late.stderr);
  const { body } = await skerry.api('GET', '/v1/sandboxes');
  assert.deepEqual(body['items'], []);
  assert.deepEqual(await skerry.enginePids('sandbox'), []);
});

test('run leaves nothing when it is killed', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const abort = new AbortController();
  const running = tryCommand(process.execPath, ['apps/cli/src/main.ts', 'run', '--', 'sleep', '60'], {
    env: { ...process.env, SKERRY_DATA: skerry.dataDir },
    signal: abort.signal,
  }).catch(() => resolve());
  for (let n = 0; n < 100; n++) {
    const { body } = await skerry.api('GET', '/v1/sandboxes?status=running');
    if ((body['items'] as unknown[]).length === 1) break;
    await new Promise((later) => setTimeout(later, 100));
  }
  const pids: number[] = [];
  for (const entry of await readdir('/proc'))
    if (
      (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).includes(
        'apps/cli/src/main.ts\0run\0--\0sleep',
      )
    )
      pids.push(Number(entry));
  assert.equal(pids.length, 1);
  for (const pid of pids) process.kill(pid, 'SIGTERM');
  await running;
  resolve();
  await promise;
  const { body } = await skerry.api('GET', '/v1/sandboxes');
  assert.deepEqual(body['items'], []);
});
