import assert from 'node:assert/strict';
import { readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@skerry/model';
import type { EngineHarness } from './conformance.ts';
import type { Engine, EngineBootSpec, EngineMemoryFormat } from './engine.ts';

type Conform = (title: string, body: (harness: EngineHarness, context: TestContext) => Promise<void>) => void;

interface Saved {
  readonly boot: EngineBootSpec;
  readonly directory: string;
  readonly format: EngineMemoryFormat;
  /** What the guest had counted to. */
  readonly count: number;
}

const patienceMs = 15_000;

async function counts(harness: EngineHarness, boot: EngineBootSpec, beyond: number): Promise<number> {
  for (const until = Date.now() + patienceMs; Date.now() < until; await sleep(10)) {
    const count = await harness.count(boot);
    if (count > beyond) return count;
  }
  throw new Error(`The guest does not count beyond ${beyond}`);
}

async function standsStill(harness: EngineHarness, boot: EngineBootSpec): Promise<number> {
  const count = await harness.count(boot);
  await sleep(120);
  assert.equal(await harness.count(boot), count);
  return count;
}

async function counting(harness: EngineHarness): Promise<EngineBootSpec> {
  const boot = await harness.spec({ kind: 'count' });
  await harness.engine.start(boot);
  await counts(harness, boot, 2);
  return boot;
}

/** A counting boot that is suspended, with its memory saved. */
async function saved(harness: EngineHarness): Promise<Saved> {
  const boot = await counting(harness);
  const directory = await harness.emptyDirectory();
  await harness.engine.suspend(boot.bootId);
  const format = await harness.engine.saveMemory(boot.bootId, directory);
  return { boot, directory, format, count: await harness.count(boot) };
}

async function end(engine: Engine, ...boots: readonly EngineBootSpec[]): Promise<void> {
  await Promise.all(boots.map(async (boot) => engine.remove(boot.bootId, boot.directory)));
}

/** Registers the tests of saved memory. An engine without it is not asked. */
export function conformMemory(conformAny: Conform): void {
  const conform: Conform = (title, body) =>
    conformAny(title, async (harness, context) => {
      if ((await harness.engine.describe()).capabilities.memorySnapshot) await body(harness, context);
    });

  conform('suspend() and unsuspend() may be repeated, and thaw a frozen boot', async (harness) => {
    const { engine } = harness;
    const boot = await counting(harness);
    await engine.freeze(boot.bootId);
    await engine.suspend(boot.bootId);
    await engine.suspend(boot.bootId);
    const count = await standsStill(harness, boot);
    assert.equal(await engine.inspect(boot.bootId), 'running');
    assert.ok((await engine.usage(boot.bootId)).memoryBytes > 0);
    await engine.unsuspend(boot.bootId);
    await engine.unsuspend(boot.bootId);
    await counts(harness, boot, count);
    await Promise.all([engine.suspend(boot.bootId), engine.unsuspend(boot.bootId), engine.suspend(boot.bootId)]);
    await standsStill(harness, boot);
    await engine.unsuspend(boot.bootId);
    await counts(harness, boot, count);
    await end(engine, boot);
  });

  conform('a suspended boot can be killed and removed, and wait() tells it', async ({ engine, spec, leftovers }) => {
    for (const call of ['kill', 'remove'] as const) {
      const boot = await spec({ kind: 'stay' });
      await engine.start(boot);
      await engine.suspend(boot.bootId);
      const exit = engine.wait(boot.bootId, AbortSignal.timeout(patienceMs));
      await (call === 'kill' ? engine.kill(boot.bootId) : engine.remove(boot.bootId, boot.directory));
      assert.equal((await exit).cause, 'killed');
      await engine.remove(boot.bootId, boot.directory);
      assert.deepEqual(await leftovers(boot.bootId), []);
    }
  });

  conform('memory calls for an absent or ended boot are refused', async ({ engine, spec, emptyDirectory }) => {
    const directory = await emptyDirectory();
    const ended = await spec({ kind: 'stay' });
    await engine.start(ended);
    await engine.kill(ended.bootId);
    for (const bootId of [newId('boot'), ended.bootId]) {
      await assert.rejects(engine.suspend(bootId), { code: 'not_found' });
      await assert.rejects(engine.unsuspend(bootId), { code: 'not_found' });
      await assert.rejects(engine.saveMemory(bootId, directory), { code: 'not_found' });
    }
    await end(engine, ended);
  });

  conform('saveMemory() of a boot that is not suspended is refused', async (harness) => {
    const boot = await counting(harness);
    const directory = await harness.emptyDirectory();
    await assert.rejects(harness.engine.saveMemory(boot.bootId, directory), {
      code: 'precondition_failed',
      reason: 'boot_not_suspended',
    });
    await counts(harness, boot, await harness.count(boot));
    await end(harness.engine, boot);
  });

  conform('saveMemory() leaves the boot suspended; it goes on, and can be saved again', async (harness) => {
    const { boot, directory, format, count } = await saved(harness);
    assert.equal(await standsStill(harness, boot), count);
    assert.deepEqual(await harness.engine.saveMemory(boot.bootId, directory), format);
    await harness.engine.unsuspend(boot.bootId);
    const later = await counts(harness, boot, count);
    await harness.engine.suspend(boot.bootId);
    await harness.engine.saveMemory(boot.bootId, await harness.emptyDirectory());
    await harness.engine.unsuspend(boot.bootId);
    await counts(harness, boot, later);
    await end(harness.engine, boot);
  });

  conform('saveMemory() that fails leaves the boot suspended, and it goes on', async (harness) => {
    const boot = await counting(harness);
    await harness.engine.suspend(boot.bootId);
    const directory = await harness.emptyDirectory();
    await assert.rejects(harness.engine.saveMemory(boot.bootId, directory, AbortSignal.abort()), { code: 'cancelled' });
    await writeFile(join(directory, 'file'), '');
    await assert.rejects(harness.engine.saveMemory(boot.bootId, join(directory, 'file/below')));
    const count = await standsStill(harness, boot);
    await harness.engine.unsuspend(boot.bootId);
    await counts(harness, boot, count);
    await end(harness.engine, boot);
  });

  conform('restore() goes on where the saved boot was, and the boot is one like any other', async (harness) => {
    const { boot, directory, format, count } = await saved(harness);
    const next = await harness.copy(boot);
    await end(harness.engine, boot);
    const { engine } = harness;
    assert.equal(await engine.whyNotRestorable(format), undefined);
    await engine.restore(next, directory, format);
    await engine.restore(next, directory, format);
    await engine.start(next);
    assert.deepEqual([await engine.inspect(next.bootId), await engine.list()], ['running', [next.bootId]]);
    const later = await counts(harness, next, count);
    assert.ok(later < count + 500, `${later} after ${count}`);
    assert.ok((await engine.usage(next.bootId)).processes > 0);
    await engine.freeze(next.bootId);
    await engine.thaw(next.bootId);
    const heir = harness.restart();
    assert.equal(await heir.adopt(next.bootId, next.directory), true);
    const exit = heir.wait(next.bootId, AbortSignal.timeout(patienceMs));
    await heir.kill(next.bootId);
    assert.equal((await exit).cause, 'killed');
    await assert.rejects(heir.restore(next, directory, format), { code: 'precondition_failed', reason: 'boot_ended' });
    await end(heir, next);
    assert.deepEqual(await harness.leftovers(next.bootId), []);
  });

  conform('restore() of a restored boot that was saved again goes on from there', async (harness) => {
    const { engine } = harness;
    let { boot, directory, format, count } = await saved(harness);
    for (let round = 0; round < 3; round += 1) {
      const next = await harness.copy(boot);
      await end(engine, boot);
      await engine.restore(next, directory, format);
      await counts(harness, next, count + 3);
      await engine.suspend(next.bootId);
      directory = await harness.emptyDirectory();
      format = await engine.saveMemory(next.bootId, directory);
      count = await harness.count(next);
      boot = next;
    }
    await end(engine, boot);
  });

  conform('restore() makes three at once of one that goes on', async (harness) => {
    const { engine } = harness;
    const { boot, directory, format, count } = await saved(harness);
    const forks = await Promise.all([harness.copy(boot), harness.copy(boot), harness.copy(boot)]);
    await engine.unsuspend(boot.bootId);
    await Promise.all(forks.map(async (fork) => engine.restore(fork, directory, format)));
    for (const one of [boot, ...forks]) await counts(harness, one, count + 2);
    await end(engine, boot, ...forks);
  });

  conform('a new daemon finds a boot suspended, and lets it go on', async (harness) => {
    const { boot, count } = await saved(harness);
    const heir = harness.restart();
    assert.equal(await heir.adopt(boot.bootId, boot.directory), true);
    await heir.suspend(boot.bootId);
    assert.equal(await standsStill(harness, boot), count);
    await heir.saveMemory(boot.bootId, await harness.emptyDirectory());
    await heir.unsuspend(boot.bootId);
    await counts(harness, boot, count);
    await end(heir, boot);
  });

  conform('restore() notices files that are missing, empty or cut, and leaves nothing', async (harness) => {
    const { engine } = harness;
    const { boot, directory, format } = await saved(harness);
    for (const file of await readdir(directory)) {
      for (const how of ['missing', 'empty', 'cut'] as const) {
        const other = await harness.emptyDirectory();
        await engine.saveMemory(boot.bootId, other);
        const path = join(other, file);
        if (how === 'missing') await rm(path);
        else await truncate(path, how === 'empty' ? 0 : await halfOf(path));
        const next = await harness.copy(boot);
        await assert.rejects(
          engine.restore(next, other, format),
          { code: 'data_loss', reason: 'memory_image_damaged' },
          `${file} ${how}`,
        );
        assert.deepEqual(
          [await engine.inspect(next.bootId), await harness.leftovers(next.bootId)],
          ['absent', []],
          `${file} ${how}`,
        );
      }
    }
    await end(engine, boot);
  });

  conform('whyNotRestorable() names what is missing, and restore() refuses it', async (harness) => {
    const { engine } = harness;
    const { boot, directory, format } = await saved(harness);
    const next = await harness.copy(boot);
    await end(engine, boot);
    for (const [change, words] of [
      [{ engine: 'other-engine' }, /other-engine/],
      [{ build: 'other-build' }, /other-build/],
      [{ specVersion: 99 }, /99/],
      [{ cpuFeatures: [...format.cpuFeatures, 'warp-drive', 'zorch'] }, /warp-drive, zorch/],
    ] as const) {
      const other = { ...format, ...change };
      assert.match((await engine.whyNotRestorable(other)) ?? '', words);
      await assert.rejects(engine.restore(next, directory, other), {
        code: 'unsupported',
        reason: 'memory_not_restorable',
      });
    }
    assert.equal(await engine.whyNotRestorable({ ...format, cpuFeatures: [] }), undefined);
  });

  conform('restore() that is aborted at any time, or removed, leaves nothing', async (harness) => {
    const { boot, directory, format, count } = await saved(harness);
    const { engine, leftovers } = harness;
    for (const afterMs of [1, 20, 50, 90, 130]) {
      const next = await harness.copy(boot);
      const restored = await engine.restore(next, directory, format, AbortSignal.timeout(afterMs)).then(
        () => true,
        () => false,
      );
      if (restored) await engine.remove(next.bootId, next.directory);
      const other = await harness.copy(boot);
      const restore = engine.restore(other, directory, format).catch((error: unknown) => error);
      await sleep(afterMs);
      await engine.remove(other.bootId, other.directory);
      await restore;
      for (const { bootId } of [next, other])
        assert.deepEqual([await engine.inspect(bootId), await leftovers(bootId)], ['absent', []], `${afterMs} ms`);
    }
    const next = await harness.copy(boot);
    await engine.restore(next, directory, format);
    await counts(harness, next, count);
    await end(engine, boot, next);
  });

  conform('retainBuilds() keeps what a boot runs by', async (harness) => {
    const { engine } = harness;
    const { boot, directory, format } = await saved(harness);
    await engine.retainBuilds([]);
    await engine.saveMemory(boot.bootId, directory);
    await engine.unsuspend(boot.bootId);
    await engine.retainBuilds([format]);
    assert.equal(await engine.whyNotRestorable(format), undefined);
    await end(engine, boot);
  });
}

async function halfOf(path: string): Promise<number> {
  return Math.floor((await stat(path)).size / 2);
}
