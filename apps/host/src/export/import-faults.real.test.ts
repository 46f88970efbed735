import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId, type SnapshotId } from '@skerry/model';
import type { HostImport } from '@skerry/protocol';
import { faultPoints } from '../fault-points.ts';
import { HostProcess } from '../testing/host-process.ts';

let host: HostProcess;
let file: Buffer;
const snapshotId = newId('snapshot');
const owner = { version: 1, project: 'test', sandbox: { name: 'box' } };

before(async () => {
  host = await HostProcess.start();
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  const body = {
    sandboxId: sandbox.sandboxId,
    source: { type: 'disk', diskId: sandbox.diskId },
    origin: 'export',
    owner,
  };
  await host.call('PUT', `/v1/snapshots/${snapshotId}`, body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of host.client.bytes('GET', `/v1/snapshots/${snapshotId}/export`, {})) chunks.push(chunk);
  file = Buffer.concat(chunks);
});
after(async () => {
  await host[Symbol.asyncDispose]();
});

async function take(id: SnapshotId, bytes = file): Promise<HostImport> {
  async function* content(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  }
  const query = { sandboxId: newId('sandbox'), owner: Buffer.from(JSON.stringify(owner)).toString('base64url') };
  return (await host.client.call('PUT', `/v1/snapshots/${id}/import`, { query, content: content() })) as HostImport;
}

async function listed(): Promise<string[]> {
  const { items } = (await host.call('GET', '/v1/snapshots')) as { items: { snapshotId: string }[] };
  return items.map((item) => item.snapshotId);
}

test('an import over the API is the same tree, and its answer says what the file was of', async () => {
  const id = newId('snapshot');
  const { snapshot, exported, lost } = await take(id);
  assert.equal(snapshot.snapshotId, id);
  assert.deepEqual(exported, owner);
  assert.deepEqual(lost, []);
  const body = { before: { snapshotId }, after: { snapshotId: id }, limit: 10 };
  assert.deepEqual(await host.call('POST', '/v1/diff', body), { changes: [], truncated: false });
  await assert.rejects(take(id), { code: 'conflict' });
  await host.call('DELETE', `/v1/snapshots/${id}`);
});

test('a damaged file is refused over the API, while it is still being sent', async () => {
  await assert.rejects(take(newId('snapshot'), Buffer.alloc(50_000_000, 'x')), {
    code: 'data_loss',
    reason: 'export_damaged',
  });
  await assert.rejects(take(newId('snapshot'), file.subarray(0, file.length - 100)), { code: 'data_loss' });
  assert.deepEqual(await listed(), [snapshotId]);
});

for (const point of faultPoints.filter(
  (name) => name.startsWith('snapshots.import.') || name === 'snapshots.create.recorded',
))
  test(`an import whose daemon is killed at "${point}" leaves nothing, and can be repeated`, async () => {
    const id = newId('snapshot');
    await host.arm(point);
    await assert.rejects(take(id));
    await host.died();
    await host.up();
    assert.deepEqual(await listed(), [snapshotId]);
    await host.call('POST', '/v1/garbage/collect', { minAgeMs: 0 });
    assert.deepEqual(await host.remains(), []);
    await take(id);
    assert.deepEqual((await listed()).sort(), [snapshotId, id].sort());
    await host.call('DELETE', `/v1/snapshots/${id}`);
  });
