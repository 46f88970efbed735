import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGvisorEngine } from './index.ts';
import { makeHarness, removeTools } from './testing/harness.ts';

after(removeTools);

async function doneLog(path: string): Promise<string> {
  for (const until = Date.now() + 15_000; Date.now() < until; await sleep(20)) {
    const log = await readFile(path, 'utf8');
    if (log.includes('done')) return log;
  }
  throw new Error(`The guest did not finish: ${await readFile(path, 'utf8')}`);
}

test('start() shows the guest, its settings and the volume slots inside, and appends to the log', async () => {
  await using harness = await makeHarness();
  const spec = await harness.scripted(
    'look /dev/skerry/guest /dev/skerry/volumes/0 /dev/skerry/volumes/7 /etc/resolv.conf /dev/shm',
  );
  await writeFile(spec.logPath, 'before\n');
  await harness.engine.start(spec);
  const log = await doneLog(spec.logPath);
  assert.match(log, /^before\n/);
  for (const path of [
    '/dev/skerry/guest -r',
    '/dev/skerry/volumes/0 d',
    '/dev/skerry/volumes/7 d',
    '/etc/resolv.conf -r',
    '/dev/shm dt',
  ])
    assert.ok(log.includes(`look ${path}`), `${path} in ${log}`);
  await harness.engine.remove(spec.bootId, spec.directory);
});

test('start() keeps /tmp on the disk, whatever is in its place before', async () => {
  await using harness = await makeHarness();
  const forms: Record<string, (tmp: string) => Promise<unknown>> = {
    absent: async () => undefined,
    empty: async (tmp) => mkdir(tmp),
    file: async (tmp) => writeFile(tmp, ''),
    link: async (tmp) => symlink('/', tmp),
  };
  for (const [form, make] of Object.entries(forms)) {
    const spec = await harness.scripted('look /tmp');
    await make(join(spec.root, 'tmp'));
    await harness.engine.start(spec);
    assert.ok((await doneLog(spec.logPath)).includes('write <nil>'), form);
    await harness.engine.remove(spec.bootId, spec.directory);
    assert.equal((await stat(join(spec.root, 'tmp/written'))).size, 1, form);
  }
});

test('start() works when /etc/resolv.conf of the root is a link', async () => {
  await using harness = await makeHarness();
  const spec = await harness.scripted('look /etc/resolv.conf');
  await symlink('../run/systemd/resolve/stub-resolv.conf', join(spec.root, 'etc/resolv.conf'));
  await harness.engine.start(spec);
  assert.ok((await doneLog(spec.logPath)).includes('look /etc/resolv.conf -r'));
  await harness.engine.remove(spec.bootId, spec.directory);
});

test('start() sets the limits of its spec', async () => {
  await using harness = await makeHarness();
  const spec = await harness.scripted('', { cpus: 0.5, memoryMiB: 200 });
  await harness.engine.start(spec);
  const group = `skerry-${harness.options.instance}/${spec.bootId}`;
  const read = async (v1: string, v2: string): Promise<string> =>
    (
      await readFile(`/sys/fs/cgroup/${v1.replace('GROUP', group)}`, 'utf8').catch(async () =>
        readFile(`/sys/fs/cgroup/${group}/${v2}`, 'utf8'),
      )
    ).trim();
  assert.equal(await read('memory/GROUP/memory.limit_in_bytes', 'memory.max'), String(200 * 1024 * 1024));
  assert.match(await read('cpu/GROUP/cpu.cfs_quota_us', 'cpu.max'), /^50000( 100000)?$/);
  assert.equal(await read('pids/GROUP/pids.max', 'pids.max'), '8192');
  await harness.engine.remove(spec.bootId, spec.directory);
});

test('start() that fails says why, leaves nothing, and may be repeated', async () => {
  await using harness = await makeHarness();
  const spec = await harness.scripted('');
  await rm(spec.root, { recursive: true });
  await writeFile(spec.root, '');
  await assert.rejects(harness.engine.start(spec), { code: 'internal' });
  assert.deepEqual([await harness.engine.inspect(spec.bootId), await harness.leftovers(spec.bootId)], ['absent', []]);
  await rm(spec.root);
  await mkdir(join(spec.root, 'etc'), { recursive: true });
  await assert.rejects(harness.engine.start({ ...spec, networkNamespace: '/run/netns/none' }), {
    reason: 'engine_start_failed',
  });
  await harness.engine.start(spec);
  await harness.engine.remove(spec.bootId, spec.directory);
});

test('remove() of a new daemon cleans up after a start that was cut off by a kill -9 of the daemon', async () => {
  await using harness = await makeHarness();
  for (const afterMs of [20, 50, 80, 110, 150]) {
    const spec = await harness.scripted('');
    const { log: _, ...options } = harness.options;
    const program = `
      import { createLog } from '@skerry/kit';
      import { createGvisorEngine } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      process.stdout.write('starting');
      await createGvisorEngine({ ...${JSON.stringify(options)}, log: createLog('child') }).start(${JSON.stringify(spec)});
      setInterval(() => undefined, 1000);`;
    const daemon = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    await new Promise((resolve) => daemon.stdout.once('data', resolve));
    await sleep(afterMs);
    daemon.kill('SIGKILL');
    await ended;
    const next = harness.restart();
    if (await next.adopt(spec.bootId, spec.directory)) assert.equal(await next.inspect(spec.bootId), 'running');
    await next.remove(spec.bootId, spec.directory);
    // A runsc that had outlived its daemon would be done by then.
    await sleep(300);
    assert.deepEqual(await harness.leftovers(spec.bootId), [], `${afterMs} ms`);
    await next.start(spec);
    await next.remove(spec.bootId, spec.directory);
  }
});

test('describe() refuses a runsc of another build', async () => {
  await using harness = await makeHarness();
  const other = createGvisorEngine({ ...harness.options, runscVersion: 'skerry-other' });
  await assert.rejects(other.describe(), { code: 'unsupported', reason: 'engine_unusable' });
  const none = createGvisorEngine({ ...harness.options, runscPath: '/nonexistent/runsc' });
  await assert.rejects(none.describe(), { code: 'unsupported', reason: 'engine_unusable' });
});
