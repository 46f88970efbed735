import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem } from '@skerry/model';
import { conformEngine, type GuestBehaviour } from './conformance.ts';
import type { EngineExit } from './engine.ts';
import { FakeEngine, FakeMachine, fakeBootSpec } from './fake.ts';

function exitOf(behaviour: GuestBehaviour): EngineExit | undefined {
  if (behaviour.kind === 'stay') return undefined;
  if (behaviour.kind === 'exit') return { cause: 'exited', status: behaviour.status, detail: 'scripted' };
  return { cause: 'killed', signal: behaviour.signal, detail: 'scripted' };
}

conformEngine('fake', async () => {
  const machine = new FakeMachine();
  const engine = new FakeEngine(machine);
  return {
    engine,
    restart: () => new FakeEngine(machine),
    spec: async (behaviour) => {
      const exit = exitOf(behaviour);
      engine.scriptedExit = exit === undefined ? undefined : { afterMs: 100, exit };
      return fakeBootSpec();
    },
    leftovers: async (bootId) => (machine.boots.has(bootId) ? [bootId] : []),
    [Symbol.asyncDispose]: async () => undefined,
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
