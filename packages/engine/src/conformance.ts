import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BootId, newId } from '@skerry/model';
import { conformMemory } from './conformance-memory.ts';
import type { Engine, EngineBootSpec } from './engine.ts';

/** What PID 1 of a test's boot does. Those that end do so at least 100 ms after their start. */
export type GuestBehaviour =
  | { readonly kind: 'stay' }
  /** Counts from 0 in its memory, one more about every 20 ms. */
  | { readonly kind: 'count' }
  | { readonly kind: 'exit'; readonly status: number }
  | { readonly kind: 'signal'; readonly signal: number };

/** One engine under test, on a place of its own. */
export interface EngineHarness extends AsyncDisposable {
  readonly engine: Engine;
  /** Another engine over the same place, as after a kill -9 of the daemon that held the first. The first is not used again. */
  restart(): Engine;
  /** A new boot, with all that its spec names made ready. */
  spec(behaviour: GuestBehaviour): Promise<EngineBootSpec>;
  /** What the guest of a boot that counts has counted to; 0 before it has begun. */
  count(boot: EngineBootSpec): Promise<number>;
  /** A new boot for the restore of one that is suspended now, with a copy of its disk. */
  copy(boot: EngineBootSpec): Promise<EngineBootSpec>;
  /** A directory for a memory image. */
  emptyDirectory(): Promise<string>;
  /** Names what is left of a boot outside its own directory: processes, groups, files. */
  leftovers(bootId: BootId): Promise<readonly string[]>;
}

const patienceMs = 15_000;

/** Registers the tests that every engine passes. `makeHarness` is called once for each. */
export function conformEngine(name: string, makeHarness: () => Promise<EngineHarness>): void {
  const conform = (title: string, body: (harness: EngineHarness, context: TestContext) => Promise<void>): void => {
    test(`${name}: ${title}`, async (context) => {
      await using harness = await makeHarness();
      await body(harness, context);
    });
  };
  const ending = (engine: Engine, bootId: BootId) => engine.wait(bootId, AbortSignal.timeout(patienceMs));

  conform('describe() says the same each time', async ({ engine }) => {
    assert.deepEqual(await engine.describe(), await engine.describe());
  });

  conform(
    'start(), usage(), kill() and remove() lead a boot through its life, and leave nothing',
    async ({ engine, spec, leftovers }) => {
      const boot = await spec({ kind: 'stay' });
      const { bootId } = boot;
      assert.equal(await engine.inspect(bootId), 'absent');
      await engine.start(boot);
      assert.equal(await engine.inspect(bootId), 'running');
      assert.deepEqual(await engine.list(), [bootId]);
      const usage = await engine.usage(bootId);
      assert.ok(
        usage.cpuMs > 0 && usage.processes > 0 && usage.memoryPeakBytes >= usage.memoryBytes && usage.memoryBytes > 0,
      );
      await engine.kill(bootId);
      assert.equal(await engine.inspect(bootId), 'ended');
      const exit = await ending(engine, bootId);
      assert.deepEqual([exit.cause, exit.signal], ['killed', 9]);
      assert.deepEqual(await ending(engine, bootId), exit);
      await engine.remove(bootId, boot.directory);
      assert.equal(await engine.inspect(bootId), 'absent');
      assert.deepEqual([await engine.list(), await leftovers(bootId)], [[], []]);
    },
  );

  conform('start() of a running boot leaves it alone, also when both are called at once', async ({ engine, spec }) => {
    const boot = await spec({ kind: 'stay' });
    await Promise.all([engine.start(boot), engine.start(boot)]);
    await engine.start(boot);
    assert.deepEqual(await engine.list(), [boot.bootId]);
    await engine.remove(boot.bootId, boot.directory);
  });

  conform('start() of several boots at once starts all', async ({ engine, spec, leftovers }) => {
    const boots = await Promise.all([spec({ kind: 'stay' }), spec({ kind: 'stay' }), spec({ kind: 'stay' })]);
    await Promise.all(boots.map(async (boot) => engine.start(boot)));
    assert.equal((await engine.list()).length, 3);
    await Promise.all(boots.map(async (boot) => engine.remove(boot.bootId, boot.directory)));
    for (const boot of boots) assert.deepEqual(await leftovers(boot.bootId), []);
  });

  conform('wait() tells the status of a PID 1 that exits', async ({ engine, spec }) => {
    const boot = await spec({ kind: 'exit', status: 7 });
    await engine.start(boot);
    const exit = await ending(engine, boot.bootId);
    assert.deepEqual([exit.cause, exit.status], ['exited', 7]);
    assert.equal(await engine.inspect(boot.bootId), 'ended');
    await assert.rejects(engine.start(boot), { code: 'precondition_failed', reason: 'boot_ended' });
    await engine.remove(boot.bootId, boot.directory);
  });

  conform('wait() tells the signal that ended PID 1', async ({ engine, spec }) => {
    const boot = await spec({ kind: 'signal', signal: 9 });
    await engine.start(boot);
    const exit = await ending(engine, boot.bootId);
    assert.deepEqual([exit.cause, exit.signal], ['killed', 9], exit.detail);
    await engine.remove(boot.bootId, boot.directory);
  });

  conform('wait() ends with its signal, and the boot lives on', async ({ engine, spec }) => {
    const boot = await spec({ kind: 'stay' });
    await engine.start(boot);
    await assert.rejects(engine.wait(boot.bootId, AbortSignal.timeout(20)), { code: 'deadline' });
    assert.equal(await engine.inspect(boot.bootId), 'running');
    await engine.remove(boot.bootId, boot.directory);
  });

  conform('calls for an absent boot are refused or do nothing', async ({ engine }) => {
    const bootId = newId('boot');
    assert.equal(await engine.adopt(bootId, '/none'), false);
    await engine.kill(bootId);
    await engine.remove(bootId, '/none');
    await assert.rejects(engine.wait(bootId), { code: 'not_found' });
    await assert.rejects(engine.usage(bootId), { code: 'not_found' });
    await assert.rejects(engine.freeze(bootId), { code: 'not_found' });
    await assert.rejects(engine.thaw(bootId), { code: 'not_found' });
    assert.equal(await engine.inspect(bootId), 'absent');
  });

  conform('start() with an aborted signal starts nothing', async ({ engine, spec, leftovers }) => {
    const boot = await spec({ kind: 'stay' });
    await assert.rejects(engine.start(boot, AbortSignal.abort()), { code: 'cancelled' });
    assert.deepEqual([await engine.inspect(boot.bootId), await leftovers(boot.bootId)], ['absent', []]);
  });

  conform('start() that is aborted at any time leaves nothing', async ({ engine, spec, leftovers }) => {
    for (const afterMs of [1, 15, 40, 80]) {
      const boot = await spec({ kind: 'stay' });
      const started = await engine.start(boot, AbortSignal.timeout(afterMs)).then(
        () => true,
        () => false,
      );
      if (started) await engine.remove(boot.bootId, boot.directory);
      assert.deepEqual(
        [await engine.inspect(boot.bootId), await leftovers(boot.bootId)],
        ['absent', []],
        `${afterMs} ms`,
      );
    }
  });

  conform('remove() while it starts ends the start and leaves nothing', async ({ engine, spec, leftovers }) => {
    for (const afterMs of [0, 10, 30, 60, 100]) {
      const boot = await spec({ kind: 'stay' });
      const start = engine.start(boot).catch((error: unknown) => error);
      await sleep(afterMs);
      await engine.remove(boot.bootId, boot.directory);
      await start;
      assert.deepEqual(
        [await engine.inspect(boot.bootId), await leftovers(boot.bootId)],
        ['absent', []],
        `${afterMs} ms`,
      );
    }
  });

  conform('adopt() takes over a running boot, and learns its exit', async ({ engine, restart, spec }) => {
    const boot = await spec({ kind: 'stay' });
    await engine.start(boot);
    const next = restart();
    assert.deepEqual(await next.list(), [boot.bootId]);
    assert.equal(await next.adopt(boot.bootId, boot.directory), true);
    assert.equal(await next.adopt(boot.bootId, boot.directory), true);
    await next.start(boot);
    const exit = ending(next, boot.bootId);
    await next.kill(boot.bootId);
    assert.equal((await exit).cause, 'killed');
    await next.remove(boot.bootId, boot.directory);
  });

  conform(
    'adopt() refuses a boot that ended unseen, and wait() still answers',
    async ({ engine, restart, spec, leftovers }) => {
      const boot = await spec({ kind: 'exit', status: 0 });
      await engine.start(boot);
      await ending(engine, boot.bootId);
      const next = restart();
      assert.equal(await next.adopt(boot.bootId, boot.directory), false);
      assert.equal(await next.inspect(boot.bootId), 'ended');
      assert.equal((await ending(next, boot.bootId)).cause, 'exited');
      await next.remove(boot.bootId, boot.directory);
      assert.deepEqual(await leftovers(boot.bootId), []);
    },
  );

  conform(
    'freeze() and thaw() may be repeated, and a frozen boot can be ended and removed',
    async ({ engine, spec, leftovers }) => {
      if (!(await engine.describe()).capabilities.freeze) return;
      const boot = await spec({ kind: 'stay' });
      await engine.start(boot);
      for (const call of ['freeze', 'freeze', 'thaw', 'thaw', 'freeze'] as const) await engine[call](boot.bootId);
      assert.equal(await engine.inspect(boot.bootId), 'running');
      await engine.kill(boot.bootId);
      assert.equal((await ending(engine, boot.bootId)).cause, 'killed');
      await engine.remove(boot.bootId, boot.directory);
      const other = await spec({ kind: 'stay' });
      await engine.start(other);
      await engine.freeze(other.bootId);
      await engine.remove(other.bootId, other.directory);
      assert.deepEqual(await leftovers(other.bootId), []);
    },
  );

  conform('clear() refuses while there are boots', async ({ engine, spec }) => {
    const boot = await spec({ kind: 'stay' });
    await engine.start(boot);
    await assert.rejects(engine.clear(), { code: 'precondition_failed' });
    await engine.remove(boot.bootId, boot.directory);
    await engine.clear();
    await engine.clear();
  });

  conformMemory(conform);
}
