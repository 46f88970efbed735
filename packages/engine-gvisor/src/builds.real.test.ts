import assert from 'node:assert/strict';
import { mkdir, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine, EngineBootSpec, EngineMemoryFormat } from '@skerry/engine';
import { Builds } from './builds.ts';
import { runSandbox } from './runsc.ts';
import { readSandboxState } from './sandbox-state.ts';
import { type GvisorHarness, makeHarness, removeTools } from './testing/harness.ts';
import { makeOtherBuild } from './testing/other-build.ts';

after(removeTools);

async function countsOn(harness: GvisorHarness, boot: EngineBootSpec, beyond: number): Promise<void> {
  for (const until = Date.now() + 15_000; (await harness.count(boot)) <= beyond; await sleep(20))
    assert.ok(Date.now() < until, `It stands still at ${beyond}`);
}

async function counting(harness: GvisorHarness, engine: Engine): Promise<EngineBootSpec> {
  const boot = await harness.scripted('count');
  await engine.start(boot);
  await countsOn(harness, boot, 2);
  return boot;
}

async function saved(
  harness: GvisorHarness,
  engine: Engine,
  boot: EngineBootSpec,
): Promise<{ image: string; format: EngineMemoryFormat; count: number; next: EngineBootSpec }> {
  await engine.suspend(boot.bootId);
  const image = await harness.emptyDirectory();
  const format = await engine.saveMemory(boot.bootId, image);
  const next = await harness.copy(boot);
  const count = await harness.count(boot);
  await engine.remove(boot.bootId, boot.directory);
  return { image, format, count, next };
}

async function binaryOf(harness: GvisorHarness, boot: EngineBootSpec): Promise<string> {
  const state = await readSandboxState(harness.options.stateDir, boot.bootId);
  return readlink(`/proc/${state?.sandboxPid}/exe`);
}

test('every boot and every image stays with the build of runsc that it began with, over upgrades and their undoing', async () => {
  await using harness = await makeHarness();
  const { runscPath, runscVersion, buildsDir } = harness.options;
  const other = await makeOtherBuild(harness.directory, { path: runscPath, version: runscVersion });
  const kept = async (): Promise<string[]> => (await readdir(buildsDir)).toSorted();

  const old = harness.engine;
  const early = await counting(harness, old);
  const running = await counting(harness, old);
  const image = await saved(harness, old, early);
  assert.equal(image.format.build, runscVersion);

  // The upgrade, after which the old path is another binary, or none.
  const upgraded = harness.engineWith({ runscPath: other.path, runscVersion: other.version });
  assert.equal((await upgraded.describe()).build, other.version);
  const fresh = await counting(harness, upgraded);
  assert.equal(await binaryOf(harness, fresh), join(buildsDir, other.version, 'runsc'));
  assert.equal(await upgraded.adopt(running.bootId, running.directory), true);
  await upgraded.retainBuilds([image.format]);
  assert.deepEqual(await kept(), [runscVersion, other.version].toSorted());

  // A boot of the old build is saved by it; its image and the older one come back by it.
  const later = await saved(harness, upgraded, running);
  assert.equal(later.format.build, runscVersion);
  for (const { image: directory, format, count, next } of [image, later]) {
    assert.equal(await upgraded.whyNotRestorable(format), undefined);
    await upgraded.restore(next, directory, format);
    await countsOn(harness, next, count);
    assert.equal(await binaryOf(harness, next), join(buildsDir, runscVersion, 'runsc'));
  }
  const again = await saved(harness, upgraded, later.next);
  assert.equal(again.format.build, runscVersion, 'a restored boot stays with its build');
  const newer = await saved(harness, upgraded, fresh);
  assert.equal(newer.format.build, other.version);

  // A boot that runs keeps its build, and an image that is named; then nothing does.
  await upgraded.retainBuilds([]);
  assert.deepEqual(await kept(), [runscVersion, other.version].toSorted());
  await upgraded.remove(image.next.bootId, image.next.directory);
  await upgraded.retainBuilds([again.format]);
  assert.deepEqual(await kept(), [runscVersion, other.version].toSorted());
  await upgraded.retainBuilds([]);
  assert.deepEqual(await kept(), [other.version]);
  assert.match((await upgraded.whyNotRestorable(again.format)) ?? '', new RegExp(runscVersion));
  await assert.rejects(upgraded.restore(again.next, again.image, again.format), {
    code: 'unsupported',
    reason: 'memory_not_restorable',
  });

  // Back to the old version: it brings its own build again, and the new one's image still comes back.
  await old.restore(newer.next, newer.image, newer.format);
  await countsOn(harness, newer.next, newer.count);
  await old.restore(again.next, again.image, again.format);
  await countsOn(harness, again.next, again.count);
});

test('a build of runsc refuses the memory image of another, so the right one must be chosen', async () => {
  await using harness = await makeHarness();
  const { runscPath, runscVersion, stateDir } = harness.options;
  const other = await makeOtherBuild(harness.directory, { path: runscPath, version: runscVersion });
  const { image, next } = await saved(harness, harness.engine, await counting(harness, harness.engine));
  await harness.engine.start(next);
  await harness.engine.remove(next.bootId, next.directory);
  await assert.rejects(
    runSandbox(
      { path: other.path, stateDir },
      {
        bootId: next.bootId,
        bundle: next.directory,
        logPath: next.logPath,
        runscLog: join(next.directory, 'other.log'),
        panicLog: join(next.directory, 'other-panic.log'),
        image,
        signal: AbortSignal.timeout(20_000),
      },
    ),
    /version does not match/,
  );
});

test('Builds.keep() keeps a build once, whole, and open to others; Builds.retain() removes what is unfinished', async () => {
  await using harness = await makeHarness();
  const directory = join(harness.directory, 'kept');
  const builds = new Builds(directory);
  const before = process.umask(0o077);
  try {
    const paths = await Promise.all([1, 2, 3].map(async () => builds.keep('one', harness.options.runscPath)));
    assert.deepEqual(new Set(paths), new Set([builds.pathOf('one')]));
  } finally {
    process.umask(before);
  }
  for (const path of [directory, join(directory, 'one'), builds.pathOf('one')])
    assert.equal((await stat(path)).mode & 0o777, 0o755);
  assert.deepEqual(await readdir(directory), ['one']);
  await assert.rejects(builds.keep('../one', harness.options.runscPath));
  assert.equal(await builds.has('../kept/one'), false);
  await mkdir(join(directory, '.new-half'));
  await builds.keep('two', harness.options.runscPath);
  await builds.hold('two', async () => builds.retain(async () => new Set()));
  assert.deepEqual(await readdir(directory), ['two']);
  await builds.keep('three', harness.options.runscPath);
  await builds.retain(async () => {
    // A restore that comes and goes while it is found out who needs what.
    await builds.hold('three', async () => undefined);
    return new Set();
  });
  assert.deepEqual(await readdir(directory), ['three']);
});
