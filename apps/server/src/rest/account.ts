import type { ActivityRecord, SandboxRecord } from '@skerry/store';
import type { RestLevel } from './facts.ts';

const counters = { awake: 'awakeMs', frozen: 'frozenMs', paused: 'pausedMs', stopped: 'stoppedMs' } as const;

/** The level of a sandbox as its record says it. */
export function levelOf(record: SandboxRecord): RestLevel {
  if (record.observed === 'ready' || record.observed === 'absent' || record.observed === 'gone')
    return record.desired === 'paused' || record.pointId !== null ? 'paused' : 'stopped';
  return record.frozen && record.observed === 'running' ? 'frozen' : 'awake';
}

/** The account of a sandbox that nothing is known of yet. */
export function newAccount(record: SandboxRecord, nowMs: number): ActivityRecord {
  const sinceMs = changedAtMs(record, nowMs);
  return {
    sandboxId: record.id,
    level: levelOf(record),
    bootId: record.bootId,
    accountedAtMs: sinceMs,
    levelSinceMs: sinceMs,
    awakeMs: 0,
    frozenMs: 0,
    pausedMs: 0,
    stoppedMs: 0,
    wokenAtMs: record.startedAtMs,
    lastRequestAtMs: null,
    lastBytesAtMs: null,
    lastAttachedAtMs: null,
    lastStreamAtMs: null,
    lastCpuAtMs: null,
    lastNetworkAtMs: null,
    lastHoldAtMs: null,
  };
}

/** Counts the time up to `nowMs` for the level that the account is at. A clock that went back counts nothing. */
export function countUntil(account: ActivityRecord, nowMs: number): ActivityRecord {
  const passedMs = Math.max(0, nowMs - account.accountedAtMs);
  const counter = counters[account.level];
  return { ...account, [counter]: account[counter] + passedMs, accountedAtMs: nowMs };
}

/** The account after its sandbox has gone to another level or another boot at a time. */
export function moveTo(account: ActivityRecord, record: SandboxRecord, atMs: number): ActivityRecord {
  const level = levelOf(record);
  const moved = level !== account.level;
  const woken = level === 'awake' && (moved || record.bootId !== account.bootId);
  return {
    ...account,
    level,
    bootId: record.bootId,
    ...(moved ? { levelSinceMs: atMs } : {}),
    ...(woken ? { wokenAtMs: atMs } : {}),
  };
}

/**
 * Takes up an account that an earlier life of the server left. A sandbox that still rests, or went on in the same boot, has been so all the time
 * (`confirmed` once the host has said that the boot lives). Of one that changed unseen, its time is counted up to an end that is known; when
 * the machine went down nobody knows when, and nothing is counted.
 */
export function takeUp(
  account: ActivityRecord,
  record: SandboxRecord,
  nowMs: number,
): { readonly account: ActivityRecord; readonly confirmed: boolean } {
  const level = levelOf(record);
  const runs = account.level === 'awake' || account.level === 'frozen';
  if (level === account.level && record.bootId === account.bootId) return { account, confirmed: !runs };
  const changedMs = Math.min(nowMs, Math.max(account.accountedAtMs, changedAtMs(record, nowMs)));
  const { lastExit } = record;
  const endMs = runs ? knownEndMs(lastExit, account.accountedAtMs, changedMs) : changedMs;
  const counted = endMs === undefined ? account : countUntil(account, endMs);
  const moved = moveTo({ ...counted, accountedAtMs: changedMs }, record, changedMs);
  return { account: moved, confirmed: level === 'paused' || level === 'stopped' };
}

function knownEndMs(exit: SandboxRecord['lastExit'], fromMs: number, toMs: number): number | undefined {
  if (exit === null || exit.reason === 'host_restarted' || exit.atMs < fromMs) return undefined;
  return Math.min(exit.atMs, toMs);
}

/** When the record came to its level, as far as it tells. */
function changedAtMs(record: SandboxRecord, nowMs: number): number {
  const level = levelOf(record);
  if (level === 'awake' || level === 'frozen') return record.startedAtMs ?? nowMs;
  if (level === 'paused' && record.pausedAtMs !== null) return record.pausedAtMs;
  return record.lastExit?.atMs ?? record.createdAtMs;
}
