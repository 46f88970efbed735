import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SandboxId } from '@skerry/model';
import type { Activity } from '@skerry/protocol';
import { freeze } from '../drives/freeze.ts';
import { TestGateway } from '../testing/gateway.ts';
import { TestInstance } from '../testing/instance.ts';

let skerry: TestInstance;
before(async () => {
  skerry = await TestInstance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

async function activity(sandbox: string): Promise<Activity> {
  return (await skerry.api('GET', `/v1/sandboxes/${sandbox}/activity`)).body as unknown as Activity;
}
async function again(): Promise<void> {
  await skerry.down();
  await skerry.up();
}

test('usage, holds, the last request and a timeout are the same after a restart of the server', async () => {
  const { id, timeoutAt } = await skerry.create({
    timeoutMs: 3_600_000,
    onTimeout: 'pause',
    rest: { afterMs: 600_000 },
  });
  const gateway = await TestGateway.connect(skerry);
  await gateway.resolve(id);
  await gateway[Symbol.asyncDispose]();
  await skerry.api('POST', `/v1/sandboxes/${id}/holds`, { reason: 'over night', forMs: 3_600_000 });
  await sleep(300);
  const before = await activity(id);
  await skerry.down();
  const downMs = 400;
  await sleep(downMs);
  await skerry.up();
  let found = await activity(id);
  // The host has to say first that it went on running meanwhile.
  while (found.usage.awakeSeconds <= before.usage.awakeSeconds) {
    await sleep(20);
    found = await activity(id);
  }
  assert.ok(found.usage.awakeSeconds >= before.usage.awakeSeconds + downMs / 1000 - 0.1);
  assert.deepEqual(found.holds, before.holds);
  const requestOf = ({ signals }: Activity) => signals.find(({ signal }) => signal === 'requests')?.lastAt;
  assert.ok(requestOf(before) !== undefined);
  assert.equal(requestOf(found), requestOf(before));
  const timeoutOf = ({ next }: Activity) => next.find(({ rule }) => rule === 'timeout');
  assert.deepEqual([timeoutOf(found)?.at, timeoutOf(found)?.action], [timeoutAt, 'pause']);

  await skerry.api('DELETE', `/v1/sandboxes/${id}/holds`);
  await skerry.api('POST', `/v1/sandboxes/${id}/pause`);
  assert.equal((await skerry.get(id)).timeoutAt, timeoutAt);
  await again();
  assert.equal((await skerry.get(id)).timeoutAt, timeoutAt);
  assert.equal((await activity(id)).level, 'paused');
  await skerry.api('POST', `/v1/sandboxes/${id}/start`);
  assert.equal((await skerry.get(id)).timeoutAt, timeoutAt);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('a timeout is kept to the instant for a sandbox that rests, and after a restart', async () => {
  const { id } = await skerry.create({ timeoutMs: 1500, onTimeout: 'delete', rest: { afterMs: 600_000 } });
  await skerry.api('POST', `/v1/sandboxes/${id}/pause`);
  await again();
  assert.equal((await skerry.until(id, 'deleted')).reason, 'timeout');
});

test('a sandbox that was frozen when the server was killed is found frozen, and woken by a request', async () => {
  const { id } = await skerry.create({ rest: { afterMs: 600_000 } });
  const boot = skerry.backend.contents.boots.find(({ sandboxId }) => sandboxId === id);
  assert.ok(boot !== undefined);
  {
    await using _ = await TestGateway.connect(skerry);
    const { core } = skerry.server;
    await core.drives.idle();
    assert.equal(await core.drains.drain(id as SandboxId, boot.bootId, false), 'drained');
    assert.ok(await freeze(core, id as SandboxId, boot.bootId));
  }
  await again();
  assert.equal((await activity(id)).level, 'frozen');
  const frozen = async () =>
    (await skerry.backend.sampleActivity()).find(({ bootId }) => bootId === boot.bootId)?.frozen;
  assert.equal(await frozen(), true);
  await using gateway = await TestGateway.connect(skerry);
  assert.equal((await gateway.resolve(id)).resting, false);
  assert.equal(await frozen(), false);

  // A host that restarted and let it go on, or froze it without our knowing, is believed; the sandbox goes on.
  const { core } = skerry.server;
  await core.drives.idle();
  await core.drains.drain(id as SandboxId, boot.bootId, false);
  assert.ok(await freeze(core, id as SandboxId, boot.bootId));
  await skerry.backend.thawBoot(boot.bootId);
  await again();
  for (;;) {
    if ((await activity(id)).level === 'awake') break;
    await sleep(20);
  }
  await skerry.backend.freezeBoot(boot.bootId);
  while ((await frozen()) === true) await sleep(20);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});

test('what runs and is not seen by a gateway is not put to rest', async () => {
  const { id } = await skerry.create({ rest: { afterMs: 1000 } });
  await sleep(2500);
  const { level, next, summary } = await activity(id);
  assert.equal(level, 'awake');
  assert.match(next.find(({ rule }) => rule === 'rest')?.why ?? '', /gateway is out of sight/);
  assert.match(summary, /gateway/);
  await skerry.api('DELETE', `/v1/sandboxes/${id}`);
});
