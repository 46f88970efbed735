import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkResources,
  type DesiredState,
  desiredMoves,
  mayDesire,
  mayObserve,
  type ObservedState,
  observedMoves,
  sandboxStatus,
} from './index.ts';

const desired = Object.keys(desiredMoves) as DesiredState[];
const observed = Object.keys(observedMoves) as ObservedState[];

test('sandboxStatus() is as the table says for every pair of desired and observed', () => {
  const table: Record<DesiredState, Record<ObservedState, string>> = {
    running: {
      absent: 'starting',
      ready: 'starting',
      booting: 'starting',
      running: 'running',
      saving: 'pausing',
      halting: 'stopping',
      gone: 'deleted',
    },
    paused: {
      absent: 'pausing',
      ready: 'paused',
      booting: 'pausing',
      running: 'pausing',
      saving: 'pausing',
      halting: 'pausing',
      gone: 'deleted',
    },
    stopped: {
      absent: 'creating',
      ready: 'stopped',
      booting: 'stopping',
      running: 'stopping',
      saving: 'stopping',
      halting: 'stopping',
      gone: 'deleted',
    },
    deleted: {
      absent: 'deleting',
      ready: 'deleting',
      booting: 'deleting',
      running: 'deleting',
      saving: 'deleting',
      halting: 'deleting',
      gone: 'deleted',
    },
  };
  for (const d of desired)
    for (const o of observed)
      assert.equal(
        sandboxStatus({ desired: d, observed: o, everRan: true, hasPoint: false, desiredReason: 'requested' }).status,
        table[d][o],
        `${d}/${o}`,
      );
});

test('sandboxStatus() says creating until the first boot has run', () => {
  for (const o of ['absent', 'ready', 'booting'] as const)
    assert.equal(
      sandboxStatus({ desired: 'running', observed: o, everRan: false, hasPoint: false, desiredReason: 'requested' })
        .status,
      'creating',
    );
});

test('sandboxStatus() says creating of a pause that was asked for before the first boot ran', () => {
  for (const o of ['absent', 'ready', 'booting', 'running'] as const)
    assert.equal(
      sandboxStatus({ desired: 'paused', observed: o, everRan: false, hasPoint: false, desiredReason: 'requested' })
        .status,
      'creating',
    );
});

test('sandboxStatus() says resuming while a boot is to go on from saved memory', () => {
  const facts = { desired: 'running', everRan: true, hasPoint: true, desiredReason: 'requested' } as const;
  for (const [observed, status] of [
    ['ready', 'resuming'],
    ['booting', 'resuming'],
    ['running', 'running'],
    ['saving', 'pausing'],
    ['halting', 'stopping'],
  ] as const)
    assert.equal(sandboxStatus({ ...facts, observed }).status, status, observed);
});

test('sandboxStatus() shows a failure unless the sandbox is going away', () => {
  const failure = { reason: 'no_disk', message: 'm', remains: [], hint: 'h' };
  const facts = { observed: 'ready', everRan: true, hasPoint: false, desiredReason: 'requested', failure } as const;
  assert.deepEqual(sandboxStatus({ ...facts, desired: 'running' }), { status: 'failed', reason: 'no_disk' });
  assert.equal(sandboxStatus({ ...facts, desired: 'deleted' }).status, 'deleting');
});

test('mayDesire() and mayObserve() refuse every move out of a final state and allow staying', () => {
  for (const to of desired) assert.equal(mayDesire('deleted', to), to === 'deleted');
  for (const to of observed) assert.equal(mayObserve('gone', to), to === 'gone');
  for (const state of observed) assert.ok(mayObserve(state, state));
  assert.ok(!mayObserve('absent', 'running'));
  assert.ok(!mayObserve('running', 'gone'));
  assert.ok(!mayObserve('booting', 'saving'));
  assert.ok(!mayDesire('stopped', 'paused'));
  assert.ok(mayDesire('paused', 'stopped'));
});

test('checkResources() fills in defaults and refuses what is out of bounds', () => {
  assert.deepEqual(checkResources({ memoryMiB: 256 }), { cpus: 2, memoryMiB: 256, diskMiB: 10240 });
  for (const wanted of [{ cpus: 0 }, { cpus: Number.NaN }, { memoryMiB: 1.5 }, { memoryMiB: 1 }, { diskMiB: 1e12 }])
    assert.throws(() => checkResources(wanted), { reason: 'invalid_resources' });
});
