import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootId, SandboxId } from '@skerry/model';
import type { Activity } from '@skerry/protocol';
import { freeze } from '../drives/freeze.ts';
import { TestGateway } from '../testing/gateway.ts';
import { TestInstance } from '../testing/instance.ts';

let skerry: TestInstance;
let gateway: TestGateway;
before(async () => {
  skerry = await TestInstance.start();
  gateway = await TestGateway.connect(skerry);
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await skerry[Symbol.asyncDispose]();
});

const soon = { afterMs: 1500 };
const slow = { afterMs: 60_000 };

async function activity(sandbox: string): Promise<Activity> {
  const answer = await skerry.api('GET', `/v1/sandboxes/${sandbox}/activity`);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as unknown as Activity;
}
async function level(sandbox: string, wanted: string): Promise<Activity> {
  const endMs = Date.now() + 15_000;
  for (;;) {
    const found = await activity(sandbox);
    if (found.level === wanted) return found;
    assert.ok(Date.now() < endMs, `${sandbox} is not ${wanted}: ${JSON.stringify(found, null, 1)}`);
    await sleep(20);
  }
}
const bootOf = (sandboxId: string): BootId => {
  const boot = skerry.backend.contents.boots.find((each) => each.sandboxId === sandboxId && each.state === 'running');
  assert.ok(boot !== undefined);
  return boot.bootId;
};
const isFrozen = async (sandboxId: string): Promise<boolean | undefined> =>
  (await skerry.backend.sampleActivity()).find(({ bootId }) => bootId === bootOf(sandboxId))?.frozen;
async function types(id: string): Promise<string[]> {
  const { body } = await skerry.api('GET', `/v1/sandboxes/${id}/events`);
  return (body['items'] as { type: string }[]).map(({ type }) => type.replace('sandbox.', ''));
}
const remove = (id: string) => skerry.api('DELETE', `/v1/sandboxes/${id}`);

test('a sandbox in which nothing works is frozen, then paused, polled or not; a request brings its memory back', async () => {
  const { id } = await skerry.create({ rest: { afterMs: 3000 } });
  skerry.backend.write(bootOf(id), 'memory', 'counter', '41');
  // `level` polls the list, the sandbox and its activity all the time.
  const frozen = await level(id, 'frozen');
  assert.equal(frozen.next[0]?.rule, 'rest');
  assert.match(frozen.wakes, /goes on at once/);
  assert.equal((await skerry.get(id)).status, 'running');
  assert.equal(gateway.routes.get(id as SandboxId)?.resting, true);
  assert.equal(await isFrozen(id), true);
  const paused = await skerry.until(id, 'paused', 20_000);
  assert.equal(paused.reason, 'rest');
  const told = await activity(id);
  assert.deepEqual([told.level, told.next, told.wakeOn], ['paused', [], 'request']);
  assert.match(told.wakes, /A request to one of its ports/);

  const route = await gateway.resolve(id);
  assert.deepEqual([route.status, route.resting], ['running', false]);
  assert.equal(skerry.backend.read(bootOf(id)).memory.get('counter'), '41');
  assert.equal((await skerry.get(id)).resume?.from, 'memory');
  const seen = await types(id);
  for (const type of ['frozen', 'pausing', 'paused', 'resuming', 'resumed']) assert.ok(seen.includes(type), type);
  await remove(id);
});

test('a request thaws at once, and what is requested again and again is not put to rest', async () => {
  const { id } = await skerry.create({ rest: slow });
  await skerry.server.core.activities.load(Date.now());
  const boot = bootOf(id);
  assert.equal(await gateway.resolve(id).then(({ resting }) => resting), false);
  assert.equal(await skerry.server.core.drains.drain(id as SandboxId, boot, false), 'drained');
  assert.equal(await freeze(skerry.server.core, id as SandboxId, boot), true);
  assert.equal(await isFrozen(id), true);
  const route = await gateway.resolve(id);
  assert.deepEqual([route.resting, await isFrozen(id)], [false, false]);
  assert.deepEqual((await types(id)).slice(-2), ['frozen', 'thawed']);
  await remove(id);
});

test('a request that comes between drain and freeze cancels the rest', async () => {
  const { id } = await skerry.create({ rest: slow });
  const boot = bootOf(id);
  const { core } = skerry.server;
  assert.equal(await core.drains.drain(id as SandboxId, boot, false), 'drained');
  await gateway.resolve(id);
  assert.equal(await freeze(core, id as SandboxId, boot), false);
  gateway.answer = async () => {
    await gateway.resolve(id);
    return 'drained';
  };
  assert.equal(await core.drains.drain(id as SandboxId, boot, false), 'cancelled');
  gateway.answer = 'drained';
  assert.equal((await skerry.store.sandboxes.find(id as SandboxId))?.frozen, false);
  await remove(id);
});

test('freezing, requests and pauses at once end awake, and nothing is left frozen behind a route that is not', async () => {
  const { id } = await skerry.create({ rest: slow });
  const { core } = skerry.server;
  for (let round = 0; round < 30; round++) {
    const boot = bootOf(id);
    const resting = core.drains
      .drain(id as SandboxId, boot, false)
      .then((result) => result === 'drained' && freeze(core, id as SandboxId, boot));
    if (round % 3 === 0) await sleep(round % 5);
    const [route] = await Promise.all([gateway.resolve(id), resting]);
    const record = await core.store.sandboxes.find(id as SandboxId);
    if (record?.frozen === false) assert.equal(await isFrozen(id), false, `round ${round}`);
    assert.equal(route.resting, false);
  }
  await gateway.resolve(id);
  assert.equal(await isFrozen(id), false);
  await remove(id);
});

test('a gateway that has requests under way, or does not answer, keeps a sandbox awake', async () => {
  gateway.answer = 'busy';
  const { id } = await skerry.create({ rest: soon });
  const before = gateway.drains.length;
  while (gateway.drains.length < before + 2) await sleep(20);
  assert.equal((await activity(id)).level, 'awake');
  gateway.answer = 'drained';
  await skerry.until(id, 'paused', 20_000);
  await remove(id);
});

test('a sandbox that computes or talks without any client is not put to rest', async () => {
  const { id } = await skerry.create({ rest: soon });
  const boot = bootOf(id);
  for (let round = 0; round < 40; round++) {
    await sleep(100);
    skerry.backend.work(boot, round < 20 ? { cpuMs: 100 } : { networkOutBytes: 5000 });
  }
  const { level: now, signals } = await activity(id);
  assert.equal(now, 'awake');
  assert.ok(signals.some(({ signal, active }) => (signal === 'cpu' || signal === 'network') && active));
  assert.ok(!(await types(id)).includes('frozen'));
  await skerry.until(id, 'paused', 20_000);
  await remove(id);
});

test('attached clients and open streams that move bytes keep it awake, and are told', async () => {
  const { id } = await skerry.create({ rest: soon });
  await gateway.report(id, { requests: 2, openRequests: 2, attached: 1, lastBytesAtMs: Date.now() });
  await sleep(2500);
  const { summary, signals, next } = await activity(id);
  assert.match(summary, /^It is awake: .*a client is attached.*a request is open/);
  const active = signals.filter((signal) => signal.active).map(({ signal }) => signal);
  assert.deepEqual(active, ['attached', 'streams']);
  assert.equal(next.find(({ rule }) => rule === 'rest')?.at, undefined);
  await gateway.report(id, {});
  await skerry.until(id, 'paused', 20_000);
  await remove(id);
});

test('a hold keeps it awake, thaws what is frozen, and is released', async () => {
  const { id } = await skerry.create({ rest: { afterMs: 4000 } });
  await level(id, 'frozen');
  const made = await skerry.api('POST', `/v1/sandboxes/${id}/holds`, { forMs: 3_600_000, reason: 'a build' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(await isFrozen(id), false);
  const held = await activity(id);
  assert.deepEqual(
    [held.level, held.holds.map(({ reason }) => reason), held.signals.find(({ signal }) => signal === 'hold')?.active],
    ['awake', ['a build'], true],
  );
  const gone = await skerry.api('DELETE', `/v1/sandboxes/${id}/holds/${String(made.body['id'])}`);
  assert.equal(gone.status, 200);
  assert.deepEqual((await activity(id)).holds, []);
  assert.equal((await skerry.api('DELETE', `/v1/sandboxes/${id}/holds`)).status, 200);
  await skerry.until(id, 'paused', 20_000);
  await remove(id);
});

test('what wakeOn forbids is answered with 409 and what to do', async () => {
  const { id, name } = await skerry.create({ rest: { afterMs: null, wakeOn: 'api' } });
  await skerry.api('POST', `/v1/sandboxes/${id}/pause`);
  await assert.rejects(gateway.resolve(id), (error: { code: string; reason: string; hint: string }) => {
    assert.deepEqual([error.code, error.reason], ['conflict', 'sandbox_paused']);
    assert.match(error.hint, new RegExp(`skerry resume ${name}`));
    return true;
  });
  assert.equal((await gateway.resolve(id, 'api')).resting, false);
  await skerry.api('PATCH', `/v1/sandboxes/${id}`, { rest: { wakeOn: 'never' } });
  await skerry.api('POST', `/v1/sandboxes/${id}/pause`);
  await assert.rejects(gateway.resolve(id, 'api'), { reason: 'sandbox_paused' });
  await skerry.api('POST', `/v1/sandboxes/${id}/stop`);
  await assert.rejects(gateway.resolve(id, 'api'), { reason: 'sandbox_not_running' });
  await remove(id);
});

test('a sandbox that its rest rule stopped is woken by a request, one that a person stopped is not', async () => {
  const { id } = await skerry.create({ rest: { afterMs: 1000, action: 'stop' } });
  await skerry.until(id, 'stopped', 20_000);
  assert.match((await activity(id)).wakes, /A request/);
  assert.equal((await gateway.resolve(id)).status, 'running');
  await skerry.api('POST', `/v1/sandboxes/${id}/stop`);
  assert.match((await activity(id)).wakes, /Only a start/);
  await assert.rejects(gateway.resolve(id), { reason: 'sandbox_not_running' });
  await remove(id);
});

test('a request that comes while somebody pauses waits for the pause, and wakes it then', async () => {
  const { id } = await skerry.create({ rest: slow });
  skerry.backend.saveMs = 200;
  const pausing = skerry.api('POST', `/v1/sandboxes/${id}/pause`);
  while ((await skerry.get(id)).status !== 'pausing') await sleep(5);
  const [paused, route] = await Promise.all([pausing, gateway.resolve(id)]);
  skerry.backend.saveMs = 0;
  assert.equal(paused.status, 200, JSON.stringify(paused.body));
  assert.equal(route.status, 'running');
  assert.ok(gateway.drains.some(({ sandboxId, force }) => sandboxId === id && force));
  await remove(id);
});

test('short of memory, the frozen sandbox that was not used for the longest time is paused first', async () => {
  const old = await skerry.create({ rest: { afterMs: 120_000 } });
  await sleep(20);
  const young = await skerry.create({ rest: { afterMs: 120_000 } });
  const { core } = skerry.server;
  for (const { id } of [young, old]) {
    const boot = bootOf(id);
    await core.drains.drain(id as SandboxId, boot, false);
    assert.ok(await freeze(core, id as SandboxId, boot));
  }
  skerry.backend.saveMs = 300;
  skerry.backend.memoryAvailableMiB = 10;
  while ((await skerry.get(old.id)).status === 'running') await sleep(5);
  assert.equal((await skerry.get(young.id)).status, 'running');
  await skerry.until(old.id, 'paused');
  await skerry.until(young.id, 'paused');
  skerry.backend.memoryAvailableMiB = 1e6;
  skerry.backend.saveMs = 0;
  for (const { id } of [young, old]) await remove(id);
});

test('a resting sandbox that nobody uses is deleted after its time', async () => {
  const { id } = await skerry.create({ rest: { afterMs: null, expireAfterMs: 1000 } });
  await skerry.api('POST', `/v1/sandboxes/${id}/pause`);
  const gone = await skerry.until(id, 'deleted', 20_000);
  assert.equal(gone.reason, 'expired');
});

test('a pause by rest that fails leaves it running, says why, and is not tried again at once', async () => {
  skerry.backend.savesMemory = false;
  const { id } = await skerry.create({ rest: { afterMs: 1000 } });
  for (;;) {
    if ((await types(id)).includes('pause_failed')) break;
    await sleep(20);
  }
  await sleep(2500);
  assert.equal((await skerry.get(id)).status, 'running');
  assert.equal((await types(id)).filter((type) => type === 'pause_failed').length, 1);
  const rest = (await activity(id)).next.find(({ rule }) => rule === 'rest');
  assert.match(rest?.why ?? '', /failed before/);
  skerry.backend.savesMemory = true;
  await remove(id);
});
