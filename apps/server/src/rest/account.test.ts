import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BootId, newId } from '@skerry/model';
import type { ActivityRecord, SandboxRecord } from '@skerry/store';
import { Samples } from './samples.ts';
import { countUntil, levelOf, moveTo, newAccount, takeUp } from './account.ts';

const start = 1_800_000_000_000;
const bootId = newId('boot');
/** As much of a record as accounts read. */
function record(patch: Partial<SandboxRecord> = {}): SandboxRecord {
  return {
    id: newId('sandbox'),
    desired: 'running',
    observed: 'running',
    bootId,
    frozen: false,
    pointId: null,
    pausedAtMs: null,
    lastExit: null,
    startedAtMs: start,
    createdAtMs: start,
    ...patch,
  } as SandboxRecord;
}
const exit = (reason: 'stopped' | 'host_restarted', atMs: number) => ({ reason, detail: '', atMs });
const times = ({ awakeMs, frozenMs, pausedMs, stoppedMs }: ActivityRecord): number[] => [
  awakeMs,
  frozenMs,
  pausedMs,
  stoppedMs,
];
const paused = { desired: 'paused', observed: 'ready', bootId: null } as const;

test('levelOf() is awake while a boot is there, unless it is frozen, and tells paused from stopped', () => {
  const table: [Partial<SandboxRecord>, string][] = [
    [{}, 'awake'],
    [{ frozen: true }, 'frozen'],
    [{ frozen: true, observed: 'saving' }, 'awake'],
    [{ observed: 'booting' }, 'awake'],
    [{ observed: 'halting', desired: 'stopped' }, 'awake'],
    [paused, 'paused'],
    [{ ...paused, desired: 'running', pointId: newId('snapshot') }, 'paused'],
    [{ ...paused, desired: 'stopped' }, 'stopped'],
    [{ ...paused, desired: 'running', observed: 'absent' }, 'stopped'],
  ];
  for (const [patch, level] of table) assert.equal(levelOf(record(patch)), level, JSON.stringify(patch));
});

test('time is counted for the level it was spent at, and a clock that goes back counts nothing', () => {
  let account = newAccount(record(), start);
  account = moveTo(countUntil(account, start + 1000), record({ frozen: true }), start + 1000);
  account = moveTo(countUntil(account, start + 3000), record(paused), start + 3000);
  account = countUntil(account, start + 3500);
  assert.deepEqual(times(account), [1000, 2000, 500, 0]);
  assert.equal(account.levelSinceMs, start + 3000);
  assert.deepEqual(times(countUntil(account, start)), [1000, 2000, 500, 0]);
});

test('takeUp() goes on counting what still rests, and waits for the host about what still runs', () => {
  const rested = moveTo(countUntil(newAccount(record(), start), start + 10), record(paused), start + 10);
  const resting = takeUp(rested, record(paused), start + 90_000);
  assert.deepEqual([resting.confirmed, times(countUntil(resting.account, start + 90_000))], [true, [10, 0, 89_990, 0]]);
  const ran = countUntil(newAccount(record(), start), start + 10);
  const running = takeUp(ran, record(), start + 90_000);
  assert.deepEqual([running.confirmed, times(running.account)], [false, [10, 0, 0, 0]]);
  assert.deepEqual(times(countUntil(running.account, start + 90_000)), [90_000, 0, 0, 0]);
});

test('takeUp() counts what changed unseen up to an end that is known, and nothing when the machine went down', () => {
  const ran = countUntil(newAccount(record(), start), start + 1000);
  const stopped = { ...paused, desired: 'stopped' } as const;
  const ended = takeUp(ran, record({ ...stopped, lastExit: exit('stopped', start + 4000) }), start + 9000);
  assert.deepEqual(times(countUntil(ended.account, start + 9000)), [4000, 0, 0, 5000]);
  const crashed = takeUp(ran, record({ ...stopped, lastExit: exit('host_restarted', start + 8000) }), start + 9000);
  assert.deepEqual(times(countUntil(crashed.account, start + 9000)), [1000, 0, 0, 1000]);
  const again = record({
    bootId: newId('boot'),
    startedAtMs: start + 8500,
    lastExit: exit('host_restarted', start + 8000),
  });
  const rebooted = takeUp(ran, again, start + 9000);
  assert.equal(rebooted.confirmed, false);
  assert.deepEqual(times(countUntil(rebooted.account, start + 9000)), [1500, 0, 0, 0]);
  assert.equal(rebooted.account.wokenAtMs, start + 8500);
});

test('samples say nothing before they cover the window, and nothing of another boot', () => {
  const samples = new Samples();
  const at = (ms: number, cpuMs: number, boot: BootId = bootId, bytes = 0) => ({
    bootId: boot,
    cpuMs,
    memoryBytes: 0,
    networkInBytes: bytes,
    networkOutBytes: 0,
    frozen: false,
    atMs: start + ms,
  });
  assert.equal(samples.facts(10_000), null);
  samples.add(at(0, 0));
  samples.add(at(5000, 500));
  assert.deepEqual(samples.facts(10_000), { atMs: start + 5000 });
  assert.deepEqual(samples.facts(5000), { atMs: start + 5000, cpuShare: 0.1, networkRate: 0 });
  samples.add(at(10_000, 1000, bootId, 20_000));
  assert.deepEqual(samples.facts(10_000), { atMs: start + 10_000, cpuShare: 0.1, networkRate: 2000 });
  for (let ms = 11_000; ms <= 60_000; ms += 1000) samples.add(at(ms, 1000, bootId, 20_000));
  assert.deepEqual(samples.facts(10_000), { atMs: start + 60_000, cpuShare: 0, networkRate: 0 });
  samples.add(at(61_000, 7, newId('boot')));
  assert.deepEqual([samples.facts(1000), samples.cpuMs], [{ atMs: start + 61_000 }, 7]);
});
