import { type DesiredState, Problem, type SnapshotReport, type SnapshotSource } from '@skerry/model';
import type { SandboxRecord, SnapshotRecord, StoreNouns } from '@skerry/store';
import { wantDeleted } from '../actions/sandbox/delete.ts';
import { finishDeletion } from '../actions/snapshot/finish-deletion.ts';
import { nameOf } from '../actions/snapshot/name-of.ts';
import { type Amendment, amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { isPassing } from './fail.ts';
import { thaw } from './freeze.ts';
import { ownerOfSnapshot } from './owner.ts';
import { saved } from './saving.ts';
import { whyNotSaved } from './why-not-saved.ts';

/** Makes the oldest snapshot that was asked for of a sandbox. `false` when there is none that can be made now. */
export async function makeSnapshot(
  core: Core,
  record: SandboxRecord,
  target: DesiredState,
  signal: AbortSignal,
): Promise<boolean> {
  const asked = await core.store.snapshots.listOf(record.id, 'creating');
  const snapshot = asked.find(({ origin }) => origin !== 'pause' && origin !== 'import');
  if (snapshot === undefined) return false;
  const source = sourceOf(record, snapshot, target);
  if (source === undefined) return false;
  let report: SnapshotReport;
  try {
    if (source instanceof Problem) throw source;
    if (record.frozen) await thaw(core, record.id, 'snapshot');
    const { id: snapshotId, origin } = snapshot;
    report = await core.backend.createSnapshot(
      { snapshotId, sandboxId: record.id, source, origin, owner: ownerOfSnapshot(snapshot) },
      signal,
    );
  } catch (error) {
    const problem = Problem.from(error);
    if (signal.aborted || (isPassing(problem) && problem.code !== 'deadline')) throw error;
    await failSnapshot(core, record, snapshot, await whyNotSaved(core, record, problem, signal));
    return true;
  }
  faultPoint('snapshot.made');
  await recordMade(core, record, snapshot, report);
  return true;
}

/** What a snapshot is made of in the present state: `undefined` when that is not there yet, a problem when it will not be. */
function sourceOf(
  record: SandboxRecord,
  { kind }: SnapshotRecord,
  target: DesiredState,
): SnapshotSource | Problem | undefined {
  if (record.observed === 'running') {
    if (record.bootId === null) throw new Problem('internal', `Sandbox "${record.id}" runs without a boot`);
    return { type: 'boot', bootId: record.bootId, memory: kind === 'memory', end: false };
  }
  if (kind === 'disk') return { type: 'disk', diskId: record.diskId };
  if (record.pointId !== null) return { type: 'snapshot', snapshotId: record.pointId };
  if (target === 'running') return undefined;
  return new Problem('precondition_failed', `Sandbox "${record.name}" does not run: there is no memory to save`, {
    reason: 'no_memory',
    hint: 'Ask for a snapshot of its disk, or start it first.',
  });
}

async function recordMade(
  core: Core,
  record: SandboxRecord,
  snapshot: SnapshotRecord,
  report: SnapshotReport,
): Promise<void> {
  let made: SnapshotRecord | undefined;
  let old: readonly SnapshotRecord[] = [];
  await amend(core, record.id, async (current, nouns) => {
    made = undefined;
    const asked = await nouns.snapshots.find(snapshot.id);
    if (asked?.status !== 'creating') return undefined;
    made = await nouns.snapshots.change(asked, saved(report));
    old = await outlived(nouns, made);
    for (const one of old) await nouns.snapshots.change(one, { status: 'deleting' });
    return amendmentOf(current, made, await nouns.sandboxes.listMadeFrom(made.id));
  });
  faultPoint('snapshot.ready');
  if (made === undefined) return;
  core.changes.publishSnapshot(made);
  for (const { id } of await core.store.sandboxes.listMadeFrom(made.id)) void core.drives.wake(id);
  for (const { id } of old) await finishDeletion(core, id);
}

function amendmentOf(current: SandboxRecord, made: SnapshotRecord, forks: readonly SandboxRecord[]): Amendment {
  if (made.origin === 'fork')
    return {
      patch: {},
      event: {
        type: 'sandbox.forked',
        message: `Sandbox "${current.name}" was forked`,
        data: { forks: forks.map(({ id }) => id) },
      },
    };
  return {
    patch: made.origin === 'user' ? { parentSnapshotId: made.id, ownerStale: true } : {},
    event: {
      type: 'snapshot.created',
      reason: made.origin,
      message: `Snapshot "${nameOf(made)}" of sandbox "${current.name}" was made`,
      data: { snapshotId: made.id, kind: made.kind, ...(made.stallMs === null ? {} : { stallMs: made.stallMs }) },
    },
  };
}

/** The sandbox's snapshots without a name that a new one outlives, for it is the last of so many that are kept. */
async function outlived(nouns: StoreNouns, made: SnapshotRecord): Promise<readonly SnapshotRecord[]> {
  if (made.keepLast === null) return [];
  const nameless = (await nouns.snapshots.listOf(made.sandboxId, 'ready')).filter(
    ({ origin, name }) => origin === 'user' && name === null,
  );
  const old = nameless.slice(0, Math.max(0, nameless.length - made.keepLast)).filter(({ id }) => id !== made.id);
  const free: SnapshotRecord[] = [];
  for (const one of old) if ((await nouns.sandboxes.listUsersOf(one.id)).length === 0) free.push(one);
  return free;
}

/** Gives up a snapshot that cannot be made, and the forks that waited for it, and tells who asked. */
export async function failSnapshot(
  core: Core,
  record: SandboxRecord,
  snapshot: SnapshotRecord,
  problem: Problem,
): Promise<void> {
  core.log.warn({ sandbox: record.id, snapshot: snapshot.id, err: problem }, 'A snapshot could not be made');
  let forks: SandboxRecord[] = [];
  await amend(core, record.id, async (_, nouns) => {
    forks = [];
    const asked = await nouns.snapshots.find(snapshot.id);
    if (asked?.status !== 'creating') return undefined;
    await nouns.snapshots.change(asked, { status: 'deleting' });
    for (const fork of await nouns.sandboxes.listMadeFrom(snapshot.id)) {
      const away = fork.observed === 'absent' ? wantDeleted(fork, 'fork_failed') : undefined;
      if (away === undefined) continue;
      forks.push(await nouns.sandboxes.change(fork, away.patch));
      const told = { projectId: fork.projectId, sandboxId: fork.id, atMs: Date.now() };
      if (away.event !== undefined) await nouns.events.append({ ...told, ...away.event });
    }
    return {
      patch: {},
      event: {
        type: 'snapshot.failed',
        reason: problem.reason,
        message: problem.message,
        data: { snapshotId: snapshot.id, origin: snapshot.origin },
      },
    };
  });
  core.changes.fail(snapshot.id, 'snapshot', problem, snapshot.version + 1);
  core.changes.publishSnapshot({ ...snapshot, status: 'deleting' });
  for (const fork of forks) {
    core.changes.fail(fork.id, 'fork', problem, fork.version);
    core.changes.publish(fork);
    void core.drives.wake(fork.id, true);
  }
  await finishDeletion(core, snapshot.id);
}
