import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine, EngineBootSpec } from '@skerry/engine';
import { runCommand } from '@skerry/kit';
import { bundleFiles } from './bundle.ts';
import { callSandbox } from './control-socket.ts';
import { readSandboxState } from './sandbox-state.ts';
import { type GvisorHarness, makeHarness, removeTools } from './testing/harness.ts';
import { logged } from './testing/logged.ts';

after(removeTools);

async function counting(harness: GvisorHarness, script = 'count'): Promise<EngineBootSpec> {
  const boot = await harness.scripted(script, { memoryMiB: 512 });
  await harness.engine.start(boot);
  if (script.startsWith('hold')) await logged(boot.logPath, 'held');
  await countsOn(harness, boot);
  return boot;
}

async function countsOn(harness: GvisorHarness, boot: EngineBootSpec): Promise<void> {
  const before = await harness.count(boot);
  for (const until = Date.now() + 15_000; (await harness.count(boot)) < before + 3; await sleep(20))
    assert.ok(Date.now() < until, `It stands still at ${before}`);
}

/** A full circle: the boot is saved, ended and brought back. */
async function assertSavable(harness: GvisorHarness, boot: EngineBootSpec, engine: Engine): Promise<void> {
  await engine.suspend(boot.bootId);
  const image = await harness.emptyDirectory();
  const format = await engine.saveMemory(boot.bootId, image);
  const next = await harness.copy(boot);
  const count = await harness.count(boot);
  await engine.remove(boot.bootId, boot.directory);
  await engine.restore({ ...next, memoryMiB: boot.memoryMiB }, image, format);
  for (const until = Date.now() + 15_000; (await harness.count(next)) <= count; await sleep(20))
    assert.ok(Date.now() < until);
  await engine.remove(next.bootId, next.directory);
  assert.deepEqual(await harness.leftovers(next.bootId), []);
}

test('saveMemory() on a disk that becomes full says so, and the boot goes on and can be saved elsewhere', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await counting(harness, 'hold 20');
  // The first has no room for the sentry's state, the others for the pages, at their begin and near their end.
  for (const size of ['48k', '300k', '1m', '12m']) {
    const directory = await harness.emptyDirectory();
    await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory]);
    try {
      await engine.suspend(boot.bootId);
      await assert.rejects(
        engine.saveMemory(boot.bootId, directory),
        { code: 'exhausted', exhaustion: 'disk', reason: 'host_disk_full' },
        size,
      );
      const count = await harness.count(boot);
      await sleep(80);
      assert.equal(await harness.count(boot), count, 'it is still suspended');
      await engine.unsuspend(boot.bootId);
      await countsOn(harness, boot);
    } finally {
      // The sentry keeps a file that it could not write open until its next collection of garbage.
      await runCommand('umount', ['--lazy', directory]);
    }
  }
  await assertSavable(harness, boot, engine);
});

/** The runsc processes of this very process that save a boot's memory. */
async function saversOf(boot: EngineBootSpec): Promise<number[]> {
  const found: number[] = [];
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  for (const pid of children.split(' ').filter(Boolean)) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words.includes('checkpoint') && words.includes(boot.bootId)) found.push(Number(pid));
  }
  return found;
}

test('a kill -9 of the runsc that saves never ends the boot', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await counting(harness, 'hold 300');
  for (const afterMs of [0, 10, 25, 40, 60]) {
    await engine.suspend(boot.bootId);
    const save = engine.saveMemory(boot.bootId, await harness.emptyDirectory()).then(
      () => 'saved',
      (error: { reason?: string }) => error.reason,
    );
    let pids: number[] = [];
    for (let look = 0; look < 5000 && pids.length === 0; look += 1) pids = await saversOf(boot);
    assert.equal(pids.length, 1, 'the runsc that saves was found');
    await sleep(afterMs);
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It had ended.
      }
    }
    assert.match(String(await save), /^(saved|engine_save_failed)$/);
    assert.equal(await engine.inspect(boot.bootId), 'running');
    await engine.unsuspend(boot.bootId);
    await countsOn(harness, boot);
  }
  await assertSavable(harness, boot, engine);
});

test('a kill -9 of the daemon at any time between suspend() and unsuspend() leaves a boot that goes on', async () => {
  await using harness = await makeHarness();
  const boot = await counting(harness, 'hold 50');
  const { log: _, ...options } = harness.options;
  const program = `
    import { mkdtempSync } from 'node:fs';
    import { createLog } from '@skerry/kit';
    import { createGvisorEngine } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const engine = createGvisorEngine({ ...${JSON.stringify(options)}, log: createLog('child') });
    const id = ${JSON.stringify(boot.bootId)};
    process.stdout.write('begins');
    for (;;) {
      await engine.suspend(id);
      await engine.saveMemory(id, mkdtempSync(${JSON.stringify(join(harness.directory, 'memory-'))}));
      await engine.unsuspend(id);
    }`;
  let engine = harness.engine;
  for (let round = 0; round < 12; round += 1) {
    const daemon = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    await new Promise((resolve) => daemon.stdout.once('data', resolve));
    await sleep(Math.random() * 150);
    daemon.kill('SIGKILL');
    await ended;
    engine = harness.restart();
    assert.equal(await engine.adopt(boot.bootId, boot.directory), true);
    if (round % 2 === 0) {
      // As it is asked for when the snapshot is to be finished.
      await engine.suspend(boot.bootId);
      await engine.saveMemory(boot.bootId, await harness.emptyDirectory());
    }
    await engine.unsuspend(boot.bootId);
    await countsOn(harness, boot);
  }
  await assertSavable(harness, boot, engine);
});

test('what a daemon left half-way is told from the sandbox itself: it is let go on once, and never twice', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await counting(harness);
  const state = await readSandboxState(harness.options.stateDir, boot.bootId);
  assert.ok(state !== undefined);
  const marker = bundleFiles.suspension(boot.directory);
  for (let round = 0; round < 3; round += 1) {
    // Killed before the call: it runs.
    await writeFile(marker, 'changing');
    await engine.unsuspend(boot.bootId);
    await countsOn(harness, boot);
    await writeFile(marker, 'changing');
    await engine.suspend(boot.bootId);
    await engine.unsuspend(boot.bootId);
    await countsOn(harness, boot);
    // Killed after it: it stands still.
    await callSandbox(state.controlSocket, 'containerManager.Pause', null);
    await writeFile(marker, 'changing');
    await engine.suspend(boot.bootId);
    await engine.unsuspend(boot.bootId);
    await countsOn(harness, boot);
    await callSandbox(state.controlSocket, 'containerManager.Pause', null);
    await writeFile(marker, 'changing');
    await engine.unsuspend(boot.bootId);
    await countsOn(harness, boot);
  }
  await engine.remove(boot.bootId, boot.directory);
});

test('a kill -9 of the daemon during restore() leaves nothing that remove() does not end', async () => {
  await using harness = await makeHarness();
  const boot = await counting(harness, 'hold 50');
  await harness.engine.suspend(boot.bootId);
  const image = await harness.emptyDirectory();
  const format = await harness.engine.saveMemory(boot.bootId, image);
  const { log: _, ...options } = harness.options;
  for (const afterMs of [20, 60, 100, 140, 180, 240]) {
    const next = { ...(await harness.copy(boot)), memoryMiB: 512 };
    const program = `
      import { createLog } from '@skerry/kit';
      import { createGvisorEngine } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      const engine = createGvisorEngine({ ...${JSON.stringify(options)}, log: createLog('child') });
      process.stdout.write('begins');
      await engine.restore(${JSON.stringify(next)}, ${JSON.stringify(image)}, ${JSON.stringify(format)});
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
    const heir = harness.restart();
    if (await heir.adopt(next.bootId, next.directory)) await countsOn(harness, next);
    await heir.remove(next.bootId, next.directory);
    // A runsc that had outlived its daemon would be done by then.
    await sleep(300);
    assert.deepEqual(await harness.leftovers(next.bootId), [], `${afterMs} ms`);
    await heir.restore(next, image, format);
    await countsOn(harness, next);
    await heir.remove(next.bootId, next.directory);
  }
});

test('restore() into too little memory says so', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await counting(harness, 'hold 200');
  await engine.suspend(boot.bootId);
  const image = await harness.emptyDirectory();
  const format = await engine.saveMemory(boot.bootId, image);
  const next = await harness.copy(boot);
  await assert.rejects(engine.restore({ ...next, memoryMiB: 100 }, image, format), {
    code: 'precondition_failed',
    reason: 'memory_too_small',
  });
  assert.deepEqual(await harness.leftovers(next.bootId), []);
  await engine.restore({ ...next, memoryMiB: 600 }, image, format);
  await countsOn(harness, next);
});
