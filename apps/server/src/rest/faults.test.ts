/** Kills the server between the steps of freezing, thawing and importing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { after, before, test } from 'node:test';
import type { BootId } from '@skerry/model';
import type { Activity, Sandbox } from '@skerry/protocol';
import type { FaultPoint } from '../fault-points.ts';
import { TestGateway } from '../testing/gateway.ts';
import { eventually, ServerProcess } from '../testing/server-process.ts';

let skerry: ServerProcess;
before(async () => {
  skerry = await ServerProcess.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

async function make(body: Readonly<Record<string, unknown>>): Promise<Sandbox> {
  const answer = await skerry.api('POST', '/v1/sandboxes', body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body as unknown as Sandbox;
}
const gatewayNow = (): Promise<TestGateway> =>
  eventually('the server takes a gateway', () => TestGateway.connect(skerry).catch(() => undefined));
const died = (before: number, point: FaultPoint): Promise<true> =>
  eventually(`the server is killed at ${point}`, () => (skerry.deaths > before ? true : undefined));
const isFrozen = async (bootId: BootId): Promise<boolean | undefined> =>
  (await skerry.backend.sampleActivity()).find((sample) => sample.bootId === bootId)?.frozen;

for (const point of ['freeze.recorded', 'freeze.done', 'thaw.done'] as const)
  test(`killed at ${point}: a request still finds it awake, in the same boot, with what was in memory`, async () => {
    const { id } = await make({ rest: { afterMs: 120_000 } });
    const [boot] = skerry.backend.contents.boots;
    assert.ok(boot !== undefined);
    skerry.backend.write(boot.bootId, 'memory', 'counter', '41');
    await skerry.api('PATCH', `/v1/sandboxes/${id}`, { rest: { afterMs: 6000 } });
    const before = skerry.deaths;
    if (point !== 'thaw.done') await skerry.arm(point);
    {
      await using gateway = await gatewayNow();
      if (point === 'thaw.done') {
        await eventually('it is frozen', async () => {
          const { body } = await skerry.api('GET', `/v1/sandboxes/${id}/activity`);
          return (body as unknown as Activity).level === 'frozen' ? true : undefined;
        });
        await skerry.arm(point);
        await assert.rejects(gateway.resolve(id));
      }
      await died(before, point);
    }
    await using gateway = await gatewayNow();
    const route = await gateway.resolve(id);
    assert.deepEqual([route.bootId, route.resting], [boot.bootId, false]);
    assert.equal(await isFrozen(boot.bootId), false);
    assert.equal(skerry.backend.read(boot.bootId).memory.get('counter'), '41');
    await skerry.api('DELETE', `/v1/sandboxes/${id}`);
  });

/** Sends bytes and gets bytes; throws when the server goes away. */
async function transfer(method: string, path: string, body?: Uint8Array): Promise<Buffer> {
  const headers = { authorization: skerry.authorization, 'content-type': 'application/zstd' };
  const socketPath = skerry.settings.apiSocket;
  const outgoing = request({ socketPath, method, path, headers, agent: false });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const point of ['import.recorded', 'import.read', 'import.recorded-sandbox'] as const)
  test(`import, killed at ${point}: all of it is there, or nothing`, async () => {
    const { id } = await make({ name: 'first' });
    const file = await transfer('GET', `/v1/sandboxes/${id}/export?memory=true`);
    await skerry.api('DELETE', `/v1/sandboxes/${id}`);
    const before = skerry.deaths;
    await skerry.arm(point);
    await assert.rejects(transfer('POST', '/v1/import', file));
    await died(before, point);
    if (point === 'import.recorded-sandbox') {
      await skerry.until('first', 'running');
      await skerry.api('DELETE', '/v1/sandboxes/first');
    }
    await eventually('nothing is left', () => {
      const { disks, boots, snapshots } = skerry.backend.contents;
      return disks.length + boots.length + snapshots.length === 0 ? true : undefined;
    });
    const { body } = await skerry.api('GET', '/v1/sandboxes');
    assert.deepEqual(body['items'], []);
    const left = await skerry.api('GET', '/v1/snapshots?all=true');
    assert.deepEqual(left.body['items'], []);
  });
