import assert from 'node:assert/strict';
import { newId } from '@skerry/model';
import { sandboxRecord, testStore } from '../testing/test-store.ts';
import type { ActivityRecord } from './activity.ts';
import type { HoldRecord } from './holds.ts';

function activityOf(sandboxId: ActivityRecord['sandboxId'], patch: Partial<ActivityRecord> = {}): ActivityRecord {
  return {
    sandboxId,
    level: 'awake',
    bootId: newId('boot'),
    accountedAtMs: 5_000_000_000,
    levelSinceMs: 4_000_000_000,
    awakeMs: 6_000_000_000,
    frozenMs: 0,
    pausedMs: 0,
    stoppedMs: 0,
    wokenAtMs: 1,
    lastRequestAtMs: null,
    lastBytesAtMs: 2,
    lastAttachedAtMs: null,
    lastStreamAtMs: null,
    lastCpuAtMs: 3,
    lastNetworkAtMs: null,
    lastHoldAtMs: null,
    ...patch,
  };
}

testStore('activity.put() writes over what there was, and leaves out what has no sandbox', async (store) => {
  const projectId = await store.projects.first(1);
  const sandbox = sandboxRecord(projectId);
  await store.sandboxes.insert(sandbox);
  const first = activityOf(sandbox.id);
  await store.transaction((nouns) => nouns.activity.put([activityOf(newId('sandbox')), first]));
  assert.deepEqual(await store.activity.listAll(), [first]);
  const second = activityOf(sandbox.id, { level: 'paused', bootId: null, pausedMs: 7, lastHoldAtMs: 9 });
  await store.activity.put([second]);
  assert.deepEqual(await store.activity.find(sandbox.id), second);
  assert.equal(await store.activity.find(newId('sandbox')), undefined);
});

testStore('activity and holds go with the row of their sandbox', async (store) => {
  const projectId = await store.projects.first(1);
  const gone = sandboxRecord(projectId, { observed: 'gone', desired: 'deleted', deletedAtMs: 5 });
  await store.sandboxes.insert(gone);
  await store.activity.put([activityOf(gone.id)]);
  await store.holds.insert({ id: newId('hold'), sandboxId: gone.id, reason: 'x', createdAtMs: 1, expiresAtMs: 1e12 });
  await store.sandboxes.expireGone(10);
  assert.deepEqual([await store.activity.listAll(), await store.holds.listOpen(0)], [[], []]);
});

testStore('holds are listed until they end, released one or all, and removed when they are over', async (store) => {
  const projectId = await store.projects.first(1);
  const [one, other] = [sandboxRecord(projectId), sandboxRecord(projectId)];
  for (const sandbox of [one, other]) await store.sandboxes.insert(sandbox);
  const hold = (sandboxId: HoldRecord['sandboxId'], expiresAtMs: number): HoldRecord => ({
    id: newId('hold'),
    sandboxId,
    reason: 'a build',
    createdAtMs: 10,
    expiresAtMs,
  });
  const [short, long, foreign] = [hold(one.id, 100), hold(one.id, 200), hold(other.id, 150)];
  for (const each of [long, short, foreign]) await store.holds.insert(each);
  assert.deepEqual(await store.holds.listOf(one.id, 50), [short, long]);
  assert.deepEqual(await store.holds.listOf(one.id, 100), [long]);
  assert.deepEqual(await store.holds.listOpen(50), [short, foreign, long]);
  assert.deepEqual(await store.holds.find(long.id), long);
  assert.equal(await store.holds.remove(other.id, long.id), 0);
  assert.equal(await store.holds.remove(one.id, short.id), 1);
  assert.equal(await store.holds.remove(one.id, short.id), 0);
  await store.holds.expire(160);
  assert.deepEqual(await store.holds.listOpen(0), [long]);
  assert.equal(await store.holds.remove(one.id), 1);
  assert.deepEqual(await store.holds.listOpen(0), []);
});
