import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineExit } from '@skerry/engine';
import type { BootId } from '@skerry/model';
import { readSandboxState } from './sandbox-state.ts';
import { type GvisorHarness, makeHarness, removeTools } from './testing/harness.ts';

after(removeTools);

async function running(
  harness: GvisorHarness,
  script = '',
): Promise<{ bootId: BootId; sandbox: number; gofer: number; log: string }> {
  const spec = await harness.scripted(script);
  await harness.engine.start(spec);
  const state = await readSandboxState(harness.options.stateDir, spec.bootId);
  return { bootId: spec.bootId, sandbox: state?.sandboxPid ?? 0, gofer: state?.goferPid ?? 0, log: spec.logPath };
}

async function endingOf(harness: GvisorHarness, bootId: BootId, engine = harness.engine): Promise<EngineExit> {
  const exit = await engine.wait(bootId, AbortSignal.timeout(15_000));
  assert.equal(await engine.inspect(bootId), 'ended');
  await engine.remove(bootId, '');
  assert.deepEqual(await harness.leftovers(bootId), []);
  return exit;
}

async function logged(path: string, text: string, signal?: AbortSignal): Promise<string> {
  for (const until = Date.now() + 15_000; Date.now() < until; await sleep(20)) {
    signal?.throwIfAborted();
    const log = await readFile(path, 'utf8').catch(() => '');
    if (log.includes(text)) return log;
  }
  throw new Error(`"${text}" did not appear in the log: ${await readFile(path, 'utf8').catch(() => 'gone')}`);
}

test('wait() says engine_failed when the sentry is killed', async () => {
  await using harness = await makeHarness();
  const { bootId, sandbox } = await running(harness);
  await sleep(400);
  process.kill(sandbox, 'SIGKILL');
  assert.equal((await endingOf(harness, bootId)).cause, 'engine_failed');
});

test('wait() tells the end of a boot whose gofer is killed', async () => {
  await using harness = await makeHarness();
  const { bootId, gofer } = await running(harness);
  await sleep(400);
  process.kill(gofer, 'SIGKILL');
  // The sentry answers by SIGKILL to PID 1. Seen too late, that cannot be told from a `kill -9 1` inside, which is far more common.
  assert.match((await endingOf(harness, bootId)).cause, /^(engine_failed|killed)$/);
});

test('wait() never blames the engine for a PID 1 that exits at once', async () => {
  await using harness = await makeHarness();
  for (let round = 0; round < 6; round += 1) {
    const exit = await endingOf(harness, (await running(harness, 'exit-now 5')).bootId);
    assert.equal(exit.cause, 'exited');
    assert.ok(exit.status === 5 || exit.status === undefined);
  }
});

test('kill() and remove() end a wedged sandbox', async () => {
  await using harness = await makeHarness();
  for (const call of ['kill', 'remove'] as const) {
    const { bootId, sandbox } = await running(harness);
    process.kill(sandbox, 'SIGSTOP');
    await (call === 'kill' ? harness.engine.kill(bootId) : harness.engine.remove(bootId, ''));
    if (call === 'kill') assert.equal((await endingOf(harness, bootId)).cause, 'killed');
    assert.deepEqual(await harness.leftovers(bootId), []);
  }
});

test('memory limit ends the greedy process, and the boot lives on', async () => {
  await using harness = await makeHarness();
  for (let round = 0; round < 3; round += 1) {
    const { bootId, log } = await running(harness, 'child-hog 400');
    await logged(log, 'child signal: killed');
    assert.equal(await harness.engine.inspect(bootId), 'running');
    await harness.engine.remove(bootId, '');
  }
});

test('wait() says out_of_memory when PID 1 is the greedy one', async () => {
  await using harness = await makeHarness();
  const { bootId } = await running(harness, 'hog 400');
  assert.equal((await endingOf(harness, bootId)).cause, 'out_of_memory');
});

test('limit of host tasks refuses forks, or ends the boot as out_of_processes', async () => {
  await using harness = await makeHarness();
  const { bootId, log } = await running(harness, 'fork 200');
  // The real limit would cost thousands of tasks to reach.
  await lowerTaskLimit(harness.options.instance, bootId, 80);
  // Which of the two depends on what in the sentry meets the limit first: a new process, or a new thread of an old one.
  const over = new AbortController();
  const refused = logged(log, 'cannot allocate memory', over.signal).then(() => 'refused');
  const ended = harness.engine.wait(bootId).then((exit) => exit.cause);
  const first = await Promise.race([refused, ended]);
  assert.match(first, /^(refused|out_of_processes)$/);
  refused.catch(() => undefined);
  over.abort();
  await harness.engine.remove(bootId, '');
  assert.deepEqual(await harness.leftovers(bootId), []);
});

async function lowerTaskLimit(instance: string, bootId: BootId, limit: number): Promise<void> {
  const v1 = join('/sys/fs/cgroup/pids', `skerry-${instance}`, bootId, 'pids.max');
  const v2 = join('/sys/fs/cgroup', `skerry-${instance}`, bootId, 'pids.max');
  await writeFile(v1, String(limit)).catch(async () => writeFile(v2, String(limit)));
}

test('wait() of a new daemon still tells what ended a boot unseen', async () => {
  await using harness = await makeHarness();
  const greedy = await running(harness, 'hog 400');
  const quiet = await running(harness, 'exit 0');
  await harness.engine.wait(greedy.bootId);
  await harness.engine.wait(quiet.bootId);
  const next = harness.restart();
  assert.equal(await next.adopt(greedy.bootId, ''), false);
  assert.equal((await endingOf(harness, greedy.bootId, next)).cause, 'out_of_memory');
  const exit = await endingOf(harness, quiet.bootId, next);
  assert.deepEqual([exit.cause, exit.status], ['exited', undefined]);
});
