import assert from 'node:assert/strict';
import { newId } from '@skerry/model';
import { sandboxRecord, snapshotRecord, testStore } from '../testing/test-store.ts';

testStore('insert() and find() give back what was written', async (store) => {
  const project = await store.projects.create('p', 1);
  const sandbox = sandboxRecord(project, { env: { SECRET: 'x' } });
  const record = snapshotRecord(sandbox, {
    name: 'first',
    parentId: newId('snapshot'),
    engine: { name: 'gvisor', version: '1', build: 'b', isolation: 'gvisor' },
    guestDigest: 'sha256:0',
    memoryUnusable: 'another processor',
    diskBytes: 2 ** 40,
    exclusiveBytes: 1,
    memoryBytes: 2 ** 41,
    stallMs: 57,
    ownerStale: true,
    keepLast: 3,
    expiresAtMs: 2_000_000_000_000,
  });
  await store.snapshots.insert(record);
  assert.deepEqual(await store.snapshots.find(record.id), record);
  assert.equal(await store.snapshots.find(newId('snapshot')), undefined);
});

testStore('resolve() finds by id and by name in the project alone', async (store) => {
  const [mine, other] = [await store.projects.create('a', 1), await store.projects.create('b', 2)];
  const record = snapshotRecord(sandboxRecord(mine), { name: 'kept' });
  await store.snapshots.insert(record);
  assert.equal((await store.snapshots.resolve(mine, 'kept')).id, record.id);
  assert.equal((await store.snapshots.resolve(mine, record.id)).id, record.id);
  for (const word of ['kept', record.id])
    await assert.rejects(store.snapshots.resolve(other, word), { reason: 'snapshot_not_found' });
});

testStore('a name is unique in its project until the snapshot is being deleted', async (store) => {
  const [project, other] = [await store.projects.create('a', 1), await store.projects.create('b', 2)];
  const first = snapshotRecord(sandboxRecord(project), { name: 'same' });
  await store.snapshots.insert(first);
  const second = snapshotRecord(sandboxRecord(project), { name: 'same' });
  await assert.rejects(store.snapshots.insert(second), { code: 'already_exists', reason: 'name_taken' });
  await store.snapshots.insert(snapshotRecord(sandboxRecord(other), { name: 'same' }));
  await store.snapshots.change(first, { status: 'deleting' });
  await store.snapshots.insert(second);
  assert.equal((await store.snapshots.resolve(project, 'same')).id, second.id);
});

testStore('change() is a compare-and-set', async (store) => {
  const record = snapshotRecord(sandboxRecord(await store.projects.create('p', 1)), { status: 'creating' });
  await store.snapshots.insert(record);
  const ready = await store.snapshots.change(record, { status: 'ready', memoryBytes: 7 });
  assert.deepEqual([ready.status, ready.memoryBytes, ready.version], ['ready', 7, 2]);
  await assert.rejects(store.snapshots.change(record, { status: 'deleting' }), { reason: 'changed_meanwhile' });
});

testStore('list() pages newest first, by sandbox and origin, without those that are being deleted', async (store) => {
  const project = await store.projects.create('p', 1);
  const [one, two] = [sandboxRecord(project), sandboxRecord(project)];
  const made = [
    snapshotRecord(one),
    snapshotRecord(one, { origin: 'pause' }),
    snapshotRecord(two),
    snapshotRecord(one, { status: 'deleting' }),
    snapshotRecord(one),
  ];
  for (const record of made) await store.snapshots.insert(record);
  const ids = made.map((record) => record.id);
  const first = await store.snapshots.list(project, { limit: 2, origins: ['user'] });
  assert.deepEqual(
    first.items.map((record) => record.id),
    [ids[4], ids[2]],
  );
  const rest = await store.snapshots.list(project, { limit: 2, origins: ['user'], cursor: first.next });
  assert.deepEqual([rest.items.map((record) => record.id), rest.next], [[ids[0]], undefined]);
  const ofOne = await store.snapshots.list(project, { limit: 10, sandboxId: one.id });
  assert.deepEqual(
    ofOne.items.map((record) => record.id),
    [ids[4], ids[1], ids[0]],
  );
  assert.equal((await store.snapshots.listOf(one.id)).length, 4);
  assert.deepEqual(
    (await store.snapshots.listUnsettled()).map((record) => record.id),
    [ids[3]],
  );
});

testStore('remove() gives what came from a snapshot the parent of that snapshot', async (store) => {
  const project = await store.projects.create('p', 1);
  const root = snapshotRecord(sandboxRecord(project));
  const middle = snapshotRecord(sandboxRecord(project), { parentId: root.id });
  const leaf = snapshotRecord(sandboxRecord(project), { parentId: middle.id });
  const sandbox = sandboxRecord(project, { parentSnapshotId: middle.id });
  await store.sandboxes.insert(sandbox);
  for (const record of [root, middle, leaf]) await store.snapshots.insert(record);
  await store.snapshots.remove(middle.id);
  await store.snapshots.remove(middle.id);
  const left = await store.snapshots.find(leaf.id);
  assert.deepEqual([left?.parentId, left?.ownerStale], [root.id, true]);
  assert.equal((await store.sandboxes.find(sandbox.id))?.parentSnapshotId, root.id);
  assert.deepEqual(
    (await store.snapshots.listStale(10)).map((record) => record.id),
    [leaf.id],
  );
});

testStore('listExpired() gives ready ones whose time is over', async (store) => {
  const sandbox = sandboxRecord(await store.projects.create('p', 1));
  const over = snapshotRecord(sandbox, { expiresAtMs: 10 });
  for (const record of [
    over,
    snapshotRecord(sandbox, { expiresAtMs: 11 }),
    snapshotRecord(sandbox),
    snapshotRecord(sandbox, { expiresAtMs: 1, status: 'deleting' }),
  ])
    await store.snapshots.insert(record);
  assert.deepEqual(
    (await store.snapshots.listExpired(10, 5)).map((record) => record.id),
    [over.id],
  );
});
