import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type BootId, Problem } from '@skerry/model';
import { conformEngine, type GuestBehaviour } from './conformance.ts';
import type { EngineExit } from './engine.ts';
import {
  damageFakeImage,
  FakeEngine,
  FakeMachine,
  fakeBootSpec,
  fakeImageFiles,
  fakeInputOutputError,
  fakeNoSpace,
} from './fake.ts';

function exitOf(behaviour: GuestBehaviour): EngineExit | undefined {
  if (behaviour.kind === 'stay' || behaviour.kind === 'count') return undefined;
  if (behaviour.kind === 'exit') return { cause: 'exited', status: behaviour.status, detail: 'scripted' };
  return { cause: 'killed', signal: behaviour.signal, detail: 'scripted' };
}

conformEngine('fake', async () => {
  const machine = new FakeMachine();
  const engine = new FakeEngine(machine);
  const directory = await mkdtemp(join(tmpdir(), 'engine-fake-'));
  return {
    engine,
    restart: () => new FakeEngine(machine),
    count: async ({ bootId }) => engine.count(bootId),
    copy: async () => fakeBootSpec(),
    emptyDirectory: async () => mkdtemp(join(directory, 'memory-')),
    spec: async (behaviour) => {
      const exit = exitOf(behaviour);
      engine.scriptedExit = exit === undefined ? undefined : { afterMs: 100, exit };
      return fakeBootSpec();
    },
    leftovers: async (bootId) => (machine.boots.has(bootId) ? [bootId] : []),
    [Symbol.asyncDispose]: async () => rm(directory, { recursive: true }),
  };
});

test('FakeEngine.fail() makes the next calls throw, in turn', async () => {
  const engine = new FakeEngine();
  const spec = fakeBootSpec();
  engine.fail('start', new Problem('unavailable', 'one'));
  engine.fail('start', new Problem('internal', 'two'));
  await assert.rejects(engine.start(spec), { code: 'unavailable' });
  await assert.rejects(engine.start(spec), { code: 'internal' });
  await engine.start(spec);
  assert.equal(engine.machine.starts, 1);
});

test('FakeEngine.delay() makes calls take longer, and kill() ends a start that waits', async () => {
  const engine = new FakeEngine();
  const spec = fakeBootSpec();
  engine.delay('start', 60_000);
  const start = assert.rejects(engine.start(spec), { code: 'cancelled' });
  await engine.kill(spec.bootId);
  await start;
  assert.equal(await engine.inspect(spec.bootId), 'absent');
});

test('FakeEngine.end() ends a boot once', async () => {
  const engine = new FakeEngine();
  const spec = fakeBootSpec();
  await engine.start(spec);
  engine.end(spec.bootId, { cause: 'out_of_memory', detail: 'first' });
  engine.end(spec.bootId, { cause: 'exited', status: 0, detail: 'second' });
  assert.equal((await engine.wait(spec.bootId)).cause, 'out_of_memory');
});

async function withSaved(
  body: (engine: FakeEngine, saved: { bootId: BootId; directory: string }) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'engine-fake-'));
  const engine = new FakeEngine();
  const spec = fakeBootSpec();
  await engine.start(spec);
  engine.machine.boots.get(spec.bootId)?.memory.set('greeting', 'hello');
  await engine.suspend(spec.bootId);
  await body(engine, { bootId: spec.bootId, directory });
  await rm(directory, { recursive: true });
}

test('FakeEngine.fail() makes a save fail as a full and as a broken disk do, with a part written, and the boot goes on', async () => {
  await withSaved(async (engine, { bootId, directory }) => {
    engine.fail('saveMemory', fakeNoSpace());
    engine.fail('saveMemory', fakeInputOutputError());
    await assert.rejects(engine.saveMemory(bootId, directory), { code: 'exhausted', status: 507 });
    assert.equal((await readdir(directory)).length, 1);
    await assert.rejects(engine.saveMemory(bootId, directory), { reason: 'engine_save_failed' });
    await engine.saveMemory(bootId, directory);
    assert.deepEqual((await readdir(directory)).toSorted(), [...fakeImageFiles].toSorted());
    await engine.unsuspend(bootId);
    assert.equal(await engine.inspect(bootId), 'running');
  });
});

test('FakeEngine.restore() brings back what a test put into memory, and nothing of a damaged image', async () => {
  await withSaved(async (engine, { bootId, directory }) => {
    const format = await engine.saveMemory(bootId, directory);
    const spec = fakeBootSpec();
    await engine.restore(spec, directory, format);
    assert.equal(engine.machine.boots.get(spec.bootId)?.memory.get('greeting'), 'hello');
    for (const how of ['flipped', 'truncated', 'missing'] as const) {
      await engine.saveMemory(bootId, directory);
      await damageFakeImage(directory, how);
      const other = fakeBootSpec();
      await assert.rejects(engine.restore(other, directory, format), { code: 'data_loss' });
      assert.equal(await engine.inspect(other.bootId), 'absent');
    }
  });
});

test('FakeEngine.retainBuilds() forgets the builds that nobody needs', async () => {
  await withSaved(async (engine, { bootId, directory }) => {
    const format = await engine.saveMemory(bootId, directory);
    engine.build = 'fake-2';
    await engine.retainBuilds([]);
    assert.equal(await engine.whyNotRestorable(format), undefined);
    await engine.remove(bootId, '');
    await engine.retainBuilds([format]);
    assert.equal(await engine.whyNotRestorable(format), undefined);
    await engine.retainBuilds([]);
    assert.match((await engine.whyNotRestorable(format)) ?? '', /fake-1/);
  });
});
