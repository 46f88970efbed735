import { newId, Problem, type SnapshotReport } from '@skerry/model';
import type { SandboxRecord, SnapshotPatch } from '@skerry/store';
import { newSnapshotRecord } from '../actions/snapshot/new-record.ts';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { finishDeletion } from '../actions/snapshot/finish-deletion.ts';
import { isPassing } from './fail.ts';
import { ownerOfSnapshot } from './owner.ts';
import { whyNotSaved } from './why-not-saved.ts';

/** A pause at the end of a timeout that failed is tried again after so long. */
const retryTimeoutMs = 60_000;

/** running → saving: has clients' streams end in order, and records the pause point before it is asked for. */
export async function beginSaving(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  const snapshotId = newId('snapshot');
  // A gateway that does not answer does not keep a sandbox from its pause: the guest ends what is left.
  if (record.bootId !== null && !record.frozen) await core.drains.drain(record.id, record.bootId, true, signal);
  signal.throwIfAborted();
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'running' || current.version !== record.version) return undefined;
    await nouns.snapshots.insert(newSnapshotRecord(current, { id: snapshotId, kind: 'memory', origin: 'pause' }));
    return { patch: { observed: 'saving', savingId: snapshotId, frozen: false } };
  });
  faultPoint('pause.recorded');
  return true;
}

/** saving → halting: saves memory and disk; the boot has ended then. When that fails, the boot goes on and the reason is told. */
export async function save(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  const { savingId, bootId } = record;
  const row = savingId === null ? undefined : await core.store.snapshots.find(savingId);
  if (savingId === null || bootId === null || row === undefined)
    throw new Problem('internal', `Sandbox "${record.id}" is being saved without a point or a boot`);
  let report: SnapshotReport;
  try {
    report = await core.backend.createSnapshot(
      {
        snapshotId: savingId,
        sandboxId: record.id,
        source: { type: 'boot', bootId, memory: true, end: true },
        origin: 'pause',
        owner: ownerOfSnapshot(row),
      },
      signal,
    );
  } catch (error) {
    const problem = Problem.from(error);
    // A deadline that passed was the host's own: it has given up, and the boot goes on.
    if (signal.aborted || (isPassing(problem) && problem.code !== 'deadline')) throw error;
    await failPause(core, record, await whyNotSaved(core, record, problem, signal));
    return true;
  }
  faultPoint('pause.saved');
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'saving' || current.savingId !== savingId) return undefined;
    const point = await nouns.snapshots.find(savingId);
    if (point?.status === 'creating') await nouns.snapshots.change(point, saved(report));
    return {
      patch: { observed: 'halting', savingId: null, pointId: savingId, restoreAs: 'resume', startedAtMs: null },
    };
  });
  faultPoint('pause.point-recorded');
  return true;
}

/** What a snapshot's record takes over from the report of a complete one. */
export function saved(report: SnapshotReport): SnapshotPatch {
  return {
    status: 'ready',
    engine: report.engine ?? null,
    guestDigest: report.guestDigest ?? null,
    memoryUnusable: report.memoryUnusable ?? null,
    diskBytes: report.diskBytes,
    exclusiveBytes: report.exclusiveBytes,
    memoryBytes: report.memoryBytes,
    stallMs: report.stallMs === undefined ? null : Math.round(report.stallMs),
    createdAtMs: report.createdAtMs,
  };
}

/** saving → running: the pause failed, and the sandbox goes on as if nothing was. */
async function failPause(core: Core, record: SandboxRecord, problem: Problem): Promise<void> {
  const { savingId } = record;
  core.log.warn({ sandbox: record.id, reason: problem.reason, err: problem }, 'A pause failed: the sandbox goes on');
  if (core.rest.resting) core.rest.unsaved.add(record.id);
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'saving' || current.savingId === null || current.savingId !== savingId) return undefined;
    const point = await nouns.snapshots.find(current.savingId);
    if (point !== undefined) await nouns.snapshots.change(point, { status: 'deleting' });
    return {
      patch: { observed: 'running', savingId: null, ...unwantPause(current) },
      event: {
        type: 'sandbox.pause_failed',
        reason: problem.reason,
        message: `Sandbox "${current.name}" could not be paused and goes on: ${problem.message}`,
      },
      failure: { undone: 'pause', problem },
    };
  });
  faultPoint('pause.failed');
  if (savingId !== null) await finishDeletion(core, savingId);
}

/** The change that takes back a pause that failed; one that ended a timeout is tried again. */
export function unwantPause(current: SandboxRecord): Partial<SandboxRecord> {
  if (current.desired !== 'paused') return {};
  return {
    desired: 'running',
    desiredReason: 'pause_failed',
    ...(current.desiredReason === 'timeout' ? { timeoutAtMs: Date.now() + retryTimeoutMs } : {}),
  };
}
