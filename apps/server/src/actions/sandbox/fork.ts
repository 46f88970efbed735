import { checkName, newId, Problem, randomLabel, type SnapshotId } from '@skerry/model';
import type { ForkSandboxBody } from '@skerry/protocol';
import type { SandboxRecord, SnapshotRecord, StoreNouns } from '@skerry/store';
import { amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { savesMemory } from '../../drives/target.ts';
import { faultPoint } from '../../fault-points.ts';
import { idempotent, type Repeatable } from '../idempotent.ts';
import { kindFor } from '../snapshot/kind-for.ts';
import { newSnapshotRecord } from '../snapshot/new-record.ts';
import { refuseWhileResting } from './admission.ts';
import { findSandbox } from './find.ts';
import { refuseDeleted } from './refuse-deleted.ts';

const mostNameTries = 10;

/** Records copies of a sandbox and the snapshot that they are made from, and sets it going. The sandbox goes on. */
export async function forkSandbox(
  core: Core,
  caller: Caller,
  idOrName: string,
  body: ForkSandboxBody,
  repeatable: Repeatable | undefined,
): Promise<readonly SandboxRecord[]> {
  const again = (target: string): Promise<readonly SandboxRecord[]> =>
    core.store.sandboxes.listMadeFrom(target as SnapshotId);
  return idempotent(core, caller, repeatable, again, async (remember) => {
    refuseWhileResting(core);
    const names = namesOf(body);
    const found = await findSandbox(core, caller, idOrName);
    const { id } = found;
    const saves = body.diskOnly !== true && (await savesMemory(core, found));
    let forks: SandboxRecord[] = [];
    for (let tries = 1; forks.length === 0; tries++) {
      try {
        await amend(core, id, async (current, nouns) => {
          refuseDeleted(current);
          const kind = kindFor(current, saves, body.diskOnly === true ? 'disk' : undefined);
          const point = newSnapshotRecord(current, { id: newId('snapshot'), kind, origin: 'fork' });
          await nouns.snapshots.insert(point);
          forks = names.map((name, place) => forkOf(current, point, name ?? nameFrom(current.name), place));
          await insertAll(nouns, forks, current);
          await remember(nouns, point.id);
          return undefined;
        });
      } catch (error) {
        forks = [];
        const taken = error instanceof Problem && error.reason === 'name_taken';
        if (!taken || names.every((name) => name !== undefined) || tries >= mostNameTries) throw error;
      }
    }
    faultPoint('fork.recorded');
    for (const fork of forks) core.changes.publish(fork);
    void core.drives.wake(id);
    return forks;
  });
}

/** A name for each fork; `undefined` for one that is to be made up. */
function namesOf({ count, names = [] }: ForkSandboxBody): readonly (string | undefined)[] {
  for (const name of names) checkName(name);
  const most = Math.max(count ?? 1, names.length);
  if (count !== undefined && names.length > count)
    throw new Problem('invalid', `There are ${names.length} names for ${count} forks`, { reason: 'invalid_body' });
  if (new Set(names).size < names.length)
    throw new Problem('invalid', 'A name is given twice', { reason: 'invalid_body' });
  return Array.from({ length: most }, (_, index) => names[index]);
}

/** A name that says whose fork it is. */
function nameFrom(name: string): string {
  return `${name.slice(0, 56).replace(/-+$/, '')}-${randomLabel(6)}`;
}

/** `place`: in the order that they were asked for, which their times keep. */
function forkOf(parent: SandboxRecord, point: SnapshotRecord, name: string, place: number): SandboxRecord {
  const nowMs = Date.now() + place;
  return {
    ...parent,
    id: newId('sandbox'),
    name,
    desired: 'running',
    desiredReason: 'forked',
    observed: 'absent',
    generation: 1,
    diskId: newId('disk'),
    bootId: null,
    everRan: false,
    failure: null,
    lastExit: null,
    ownerStale: false,
    sourceSnapshotId: point.id,
    pointId: point.kind === 'memory' ? point.id : null,
    restoreAs: 'fork',
    savingId: null,
    pauseMemory: true,
    oldPointId: null,
    rollbackTo: null,
    rollbackMemory: false,
    dropDiskId: null,
    resume: null,
    pausedAtMs: null,
    frozen: false,
    lastUsedAtMs: nowMs,
    startedAtMs: null,
    createdAtMs: nowMs,
    deletedAtMs: null,
    version: 1,
  };
}

async function insertAll(nouns: StoreNouns, forks: readonly SandboxRecord[], parent: SandboxRecord): Promise<void> {
  for (const fork of forks) {
    await nouns.sandboxes.insert(fork);
    await nouns.events.append({
      projectId: fork.projectId,
      sandboxId: fork.id,
      type: 'sandbox.created',
      atMs: fork.createdAtMs,
      reason: fork.desiredReason,
      message: `Sandbox "${fork.name}" was created as a fork of "${parent.name}"`,
      data: { kind: fork.kind, template: fork.template, parent: parent.id },
    });
  }
}
