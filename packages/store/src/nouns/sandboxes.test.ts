import assert from 'node:assert/strict';
import { newId } from '@skerry/model';
import { sandboxRecord, snapshotRecord, testStore } from '../testing/test-store.ts';

testStore('insert() and find() give back everything of a sandbox', async (store) => {
  const project = await store.projects.create('p', 1);
  const record = sandboxRecord(project, {
    env: { SECRET: 'x' },
    labels: { team: 'a' },
    sourceSnapshotId: newId('snapshot'),
    pointId: newId('snapshot'),
    restoreAs: 'fork',
    savingId: newId('snapshot'),
    pauseMemory: false,
    oldPointId: newId('snapshot'),
    rollbackTo: newId('snapshot'),
    rollbackMemory: true,
    dropDiskId: newId('disk'),
    parentSnapshotId: newId('snapshot'),
    resume: { from: 'disk', lost: 'processes', why: 'its memory was damaged', atMs: 5 },
    pausedAtMs: 6,
    rest: { afterMs: null, action: 'stop', wakeOn: 'never', expireAfterMs: 7 },
    frozen: true,
  });
  await store.sandboxes.insert(record);
  assert.deepEqual(await store.sandboxes.find(record.id), record);
});

testStore('change() refuses a write to an older version, and a move that the tables refuse', async (store) => {
  const record = sandboxRecord(await store.projects.create('p', 1));
  await store.sandboxes.insert(record);
  const next = await store.sandboxes.change(record, { desired: 'stopped' });
  await assert.rejects(store.sandboxes.change(record, { desired: 'deleted' }), { reason: 'changed_meanwhile' });
  await assert.rejects(store.sandboxes.change(next, { desired: 'paused' }), { reason: 'move_refused' });
  await assert.rejects(store.sandboxes.change(next, { observed: 'absent' }), { reason: 'move_refused' });
});

testStore('a name is free at once when its sandbox is wanted away', async (store) => {
  const project = await store.projects.create('p', 1);
  const record = sandboxRecord(project, { name: 'same' });
  await store.sandboxes.insert(record);
  const again = sandboxRecord(project, { name: 'same' });
  await assert.rejects(store.sandboxes.insert(again), { reason: 'name_taken' });
  await store.sandboxes.change(record, { desired: 'deleted' });
  await store.sandboxes.insert(again);
  assert.equal((await store.sandboxes.resolve(project, 'same')).id, again.id);
});

testStore('listUnsettled() gives what a drive has work for', async (store) => {
  const project = await store.projects.create('p', 1);
  const resting = [
    sandboxRecord(project, { desired: 'stopped', observed: 'ready' }),
    sandboxRecord(project, { desired: 'paused', observed: 'ready', pointId: newId('snapshot') }),
    sandboxRecord(project, { desired: 'deleted', observed: 'gone' }),
  ];
  const rest = { desired: 'stopped', observed: 'ready' } as const;
  const working = [
    sandboxRecord(project),
    sandboxRecord(project, { desired: 'paused', observed: 'saving', savingId: newId('snapshot') }),
    sandboxRecord(project, { ...rest, ownerStale: true }),
    sandboxRecord(project, { ...rest, oldPointId: newId('snapshot') }),
    sandboxRecord(project, { ...rest, dropDiskId: newId('disk') }),
    sandboxRecord(project, { ...rest, rollbackTo: newId('snapshot') }),
  ];
  const snapshotted = sandboxRecord(project, rest);
  working.push(snapshotted);
  for (const record of [...resting, ...working]) await store.sandboxes.insert(record);
  await store.snapshots.insert(snapshotRecord(snapshotted, { status: 'creating' }));
  assert.deepEqual([...(await store.sandboxes.listUnsettled())], working.map((record) => record.id).toReversed());
});

testStore('listUsersOf() gives those whose disk or next boot needs the snapshot', async (store) => {
  const project = await store.projects.create('p', 1);
  const id = newId('snapshot');
  const users = [
    sandboxRecord(project, { pointId: id }),
    sandboxRecord(project, { rollbackTo: id }),
    sandboxRecord(project, { sourceSnapshotId: id, observed: 'absent' }),
  ];
  for (const record of [...users, sandboxRecord(project, { sourceSnapshotId: id, oldPointId: id })])
    await store.sandboxes.insert(record);
  assert.deepEqual(
    (await store.sandboxes.listUsersOf(id)).map((record) => record.id).toSorted(),
    users.map((record) => record.id).toSorted(),
  );
});

testStore('expireGone() keeps the tombstone of a sandbox of which a snapshot is left', async (store) => {
  const project = await store.projects.create('p', 1);
  const gone = { desired: 'deleted', observed: 'gone', deletedAtMs: 5 } as const;
  const [kept, dropped] = [sandboxRecord(project, gone), sandboxRecord(project, gone)];
  for (const record of [kept, dropped]) await store.sandboxes.insert(record);
  const snapshot = snapshotRecord(kept);
  await store.snapshots.insert(snapshot);
  await store.sandboxes.expireGone(10);
  assert.ok((await store.sandboxes.find(kept.id)) !== undefined);
  assert.equal(await store.sandboxes.find(dropped.id), undefined);
  await store.snapshots.remove(snapshot.id);
  await store.sandboxes.expireGone(10);
  assert.equal(await store.sandboxes.find(kept.id), undefined);
});

testStore('a transaction that throws leaves nothing behind', async (store) => {
  const project = await store.projects.create('p', 1);
  const record = sandboxRecord(project);
  await assert.rejects(
    store.transaction(async (nouns) => {
      await nouns.sandboxes.insert(record);
      throw new Error('no');
    }),
    /no/,
  );
  assert.equal(await store.sandboxes.find(record.id), undefined);
});
