import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineBootSpec } from '@skerry/engine';
import { runCommand } from '@skerry/kit';
import { type BtrfsPlace, makeBtrfsPlace, makePythonRoot } from './testing/btrfs-place.ts';
import { baseArchive, type GvisorHarness, makeHarness, removeTools } from './testing/harness.ts';
import { logged } from './testing/logged.ts';

after(removeTools);

/** What `live.py` says of itself. */
interface Live {
  readonly counter: number;
  readonly threads: readonly number[];
  readonly pid: number;
  readonly sum: number;
  readonly gone: string;
  readonly note: string;
  readonly socket: string;
  readonly shell: number;
  readonly shellPid: number;
  readonly kept: boolean;
  readonly time: number;
  readonly hostname: string;
}

async function lives(spec: EngineBootSpec, beyond = 0): Promise<{ first: Live; last: Live }> {
  for (const until = Date.now() + 20_000; Date.now() < until; await sleep(20)) {
    const log = await readFile(spec.logPath, 'utf8');
    if (log.includes('exec exit')) throw new Error(`The program ended: ${log}`);
    const lines = log.split('\n').slice(0, -1);
    const said = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Live);
    const [first, last] = [said[0], said.at(-1)];
    if (first !== undefined && last !== undefined && last.counter > beyond) return { first, last };
  }
  throw new Error(`Nothing lives beyond ${beyond}: ${await readFile(spec.logPath, 'utf8')}`);
}

/** A boot of `live.py` whose root is a subvolume. */
async function living(harness: GvisorHarness, place: BtrfsPlace): Promise<EngineBootSpec> {
  const root = join(harness.directory, 'python');
  await makePythonRoot(await baseArchive(), root);
  await copyFile(join(import.meta.dirname, 'testing/live.py'), join(root, 'live.py'));
  const spec = await onSnapshot(harness, place, root, { guestEnv: { SCRIPT: 'exec /usr/bin/python3 /live.py' } });
  await harness.engine.start(spec);
  await lives(spec, 3);
  return spec;
}

async function onSnapshot(
  harness: GvisorHarness,
  place: BtrfsPlace,
  of: string,
  change: Partial<EngineBootSpec> = {},
): Promise<EngineBootSpec> {
  const spec = await harness.scripted('', change);
  const root = join(spec.directory, 'snapshot');
  await place.snapshot(of, root);
  return { ...spec, root };
}

function assertGoesOn(before: Live, { first, last }: { first: Live; last: Live }): void {
  assert.equal(first.counter, before.counter + 1);
  for (const [index, count] of before.threads.entries())
    assert.ok((first.threads[index] ?? 0) >= count && (last.threads[index] ?? 0) > count);
  for (const now of [first, last]) {
    const { pid, sum, shellPid } = before;
    assert.deepEqual(
      { pid: now.pid, sum: now.sum, shellPid: now.shellPid, gone: now.gone, note: now.note, socket: now.socket },
      { pid, sum, shellPid, gone: 'unlinked\n', note: 'in tmpfs', socket: 'ping' },
    );
    assert.ok(now.kept, 'the file on disk is of the same instant as the memory');
    assert.equal(now.shell, now.counter);
  }
}

test('threads, a shell on a terminal, open and unlinked files, tmpfs and sockets live on over save, end and restore', async () => {
  await using place = await makeBtrfsPlace();
  await using harness = await makeHarness(place.directory);
  const { engine } = harness;
  let boot = await living(harness, place);
  const namespace = `${harness.options.instance}-other`;
  await runCommand('ip', ['netns', 'add', namespace]);
  await runCommand('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  try {
    for (let round = 0; round < 3; round += 1) {
      await engine.suspend(boot.bootId);
      const image = await harness.emptyDirectory();
      const format = await engine.saveMemory(boot.bootId, image);
      const before = (await lives(boot)).last;
      const next = await onSnapshot(harness, place, boot.root, {
        hostname: `round-${round}`,
        networkNamespace: `/run/netns/${namespace}`,
        memoryMiB: 300 + round,
        cpus: 1.5,
      });
      await engine.remove(boot.bootId, boot.directory);
      await sleep(500);
      await engine.restore(next, image, format);
      const after = await lives(next, before.counter + 5);
      assertGoesOn(before, after);
      assert.equal(after.last.hostname, `round-${round}`);
      assert.ok(Math.abs(after.last.time - Date.now() / 1000) < 2, 'the clock has jumped over the time between');
      boot = next;
    }
    await engine.remove(boot.bootId, boot.directory);
  } finally {
    await engine.remove(boot.bootId, boot.directory);
    await runCommand('ip', ['netns', 'delete', namespace]);
  }
});

test('three forks of one that goes on live each on their own, and their disks are apart', async () => {
  await using place = await makeBtrfsPlace();
  await using harness = await makeHarness(place.directory);
  const { engine } = harness;
  const parent = await living(harness, place);
  await engine.suspend(parent.bootId);
  const image = await harness.emptyDirectory();
  const format = await engine.saveMemory(parent.bootId, image);
  const before = (await lives(parent)).last;
  const forks = await Promise.all([1, 2, 3].map(async () => onSnapshot(harness, place, parent.root)));
  await engine.unsuspend(parent.bootId);
  await Promise.all(forks.map(async (fork) => engine.restore(fork, image, format)));
  for (const fork of forks) assertGoesOn(before, await lives(fork, before.counter + 5));
  const { last } = await lives(parent, before.counter + 5);
  assert.ok(last.kept && last.shell === last.counter);
});

test('restore() leaves the root as it was, with an empty /tmp', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await harness.scripted('empty-tmp');
  await engine.start(boot);
  await logged(boot.logPath, 'emptied');
  await engine.suspend(boot.bootId);
  const image = await harness.emptyDirectory();
  const format = await engine.saveMemory(boot.bootId, image);
  const next = await harness.copy(boot);
  await engine.remove(boot.bootId, boot.directory);
  await engine.restore(next, image, format);
  await sleep(300);
  assert.equal(await runCommand('find', [join(next.root, 'tmp'), '-mindepth', '1']), '');
  await engine.remove(next.bootId, next.directory);
});

test('wait() tells how a restored boot ends, by itself or at its memory limit', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  for (const [script, expected] of [
    ['after 500 exit 7', { cause: 'exited', status: 7 }],
    ['after 500 kill 9', { cause: 'killed', signal: 9 }],
    ['after 500 hog 400', { cause: 'out_of_memory' }],
  ] as const) {
    const boot = await harness.scripted(script);
    await engine.start(boot);
    await sleep(150);
    await engine.suspend(boot.bootId);
    const image = await harness.emptyDirectory();
    const format = await engine.saveMemory(boot.bootId, image);
    const next = await harness.copy(boot);
    await engine.remove(boot.bootId, boot.directory);
    await engine.restore(next, image, format);
    const exit = await engine.wait(next.bootId, AbortSignal.timeout(15_000));
    assert.deepEqual({ ...exit, ...expected }, exit, script);
    await engine.remove(next.bootId, next.directory);
    assert.deepEqual(await harness.leftovers(next.bootId), []);
  }
});

test('a greedy process of a restored boot ends alone', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await harness.scripted('after 700 child-hog 400');
  await engine.start(boot);
  await sleep(150);
  await engine.suspend(boot.bootId);
  const image = await harness.emptyDirectory();
  const format = await engine.saveMemory(boot.bootId, image);
  const next = await harness.copy(boot);
  await engine.remove(boot.bootId, boot.directory);
  await engine.restore(next, image, format);
  await logged(next.logPath, 'child signal: killed');
  assert.equal(await engine.inspect(next.bootId), 'running');
  await engine.remove(next.bootId, next.directory);
});
