import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Instance } from './instance.ts';

let skerry: Instance;
before(async () => {
  skerry = await Instance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});
const memoryMiB = 256;

interface ActivityView {
  readonly level: string;
  readonly summary: string;
  readonly signals: readonly { readonly signal: string; readonly active: boolean }[];
  readonly next: readonly { readonly rule: string; readonly at?: string }[];
  readonly holds: readonly { readonly id: string; readonly reason: string }[];
}

async function activityOf(id: string): Promise<ActivityView> {
  const { status, body } = await skerry.api('GET', `/v1/sandboxes/${id}/activity`);
  assert.equal(status, 200, JSON.stringify(body));
  return body as unknown as ActivityView;
}

/** Asks for the list, the status and the activity every second, as a dashboard does, until a status is there. */
async function watchUntil(id: string, status: string, deadlineMs: number): Promise<void> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    await skerry.api('GET', '/v1/sandboxes');
    const activity = await activityOf(id);
    const found = await skerry.get(id);
    if (found.status === status) return;
    assert.ok(Date.now() < end, `${id} is ${found.status}: ${JSON.stringify(activity)}`);
    await sleep(1000);
  }
}

test('one that a dashboard polls and in which nothing works is paused; one that computes is not; both say why', async () => {
  const rest = { afterMs: 20_000 };
  const idle = await skerry.create({ name: 'idle', memoryMiB, rest });
  const busy = await skerry.create({ name: 'busy', memoryMiB, rest });
  const held = await skerry.create({ name: 'held', memoryMiB, rest });
  await skerry.exec(idle.id, 'exec sleep 100000', { detach: true });
  await skerry.exec(busy.id, 'while :; do :; done', { detach: true });
  assert.equal(
    (await skerry.api('POST', `/v1/sandboxes/${held.id}/holds`, { forMs: 600_000, reason: 'a test' })).status,
    201,
  );
  await watchUntil(idle.id, 'paused', 90_000);
  assert.equal((await activityOf(idle.id)).level, 'paused');
  await sleep(10_000);
  for (const [sandbox, signal] of [
    [busy, 'cpu'],
    [held, 'hold'],
  ] as const) {
    assert.equal((await skerry.get(sandbox.id)).status, 'running');
    const activity = await activityOf(sandbox.id);
    assert.equal(activity.level, 'awake', JSON.stringify(activity));
    assert.ok(
      activity.signals.some((each) => each.signal === signal && each.active),
      JSON.stringify(activity),
    );
    assert.notEqual(activity.summary, '');
  }
  assert.equal((await skerry.api('DELETE', `/v1/sandboxes/${held.id}/holds`)).status, 200);
  // It wakes by itself when somebody needs it, with what was in memory.
  assert.match(await skerry.sh(idle.id, 'pgrep -f "sleep 100000"'), /^\d+/);
  assert.equal((await skerry.get(idle.id)).status, 'running');
  await watchUntil(held.id, 'paused', 90_000);
  for (const { id } of [idle, busy, held]) await skerry.remove(id);
});

test("a user's timeout is kept over a rest and a restart, and is neither shortened nor forgotten", async () => {
  const made = await skerry.create({ memoryMiB, timeoutMs: 40_000, onTimeout: 'delete', rest: { afterMs: 3000 } });
  const begun = Date.now();
  await skerry.until(made.id, ['paused'], 30_000);
  assert.ok(Date.now() - begun < 39_000, 'it rested before its timeout');
  await skerry.kill('server');
  await skerry.untilReady();
  await skerry.until(made.id, ['deleted'], 60_000);
  assert.ok(Date.now() - begun >= 38_000, 'not before its time');
});

test('one that may be woken by the API alone, or never, says so to others', async () => {
  const { id } = await skerry.create({ memoryMiB, rest: { wakeOn: 'never' } });
  await skerry.change(id, 'pause');
  const refused = await skerry.api('POST', `/v1/sandboxes/${id}/exec`, { command: 'true' });
  assert.equal(refused.status, 409, JSON.stringify(refused.body));
  assert.match(String(refused.body['hint']), /resume/);
  await skerry.change(id, 'resume');
  assert.equal(await skerry.sh(id, 'echo here'), 'here\n');
  await skerry.remove(id);
});
