import { checkName, checkResources, newId, Problem, type SandboxId } from '@skerry/model';
import type { CreateSandboxBody } from '@skerry/protocol';
import type { SandboxRecord, SavedSpec, SnapshotRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { faultPoint } from '../../fault-points.ts';
import { makeUpName } from '../../made-up-name.ts';
import { restPolicyOf } from '../../rest/policy.ts';
import { idempotent, type Remember, type Repeatable } from '../idempotent.ts';
import { findSnapshot } from '../snapshot/find.ts';
import { nameOf } from '../snapshot/name-of.ts';
import { requireReady } from '../snapshot/require-ready.ts';
import { checkFits, checkIsolation, imageOf, refuseWhileResting } from './admission.ts';

const mostTries = 20;
const defaultGraceMs = 5000;

/** Records a new sandbox that shall run, and sets its drive going. When it returns, the sandbox exists for good. */
export async function createSandbox(
  core: Core,
  caller: Caller,
  body: CreateSandboxBody,
  repeatable: Repeatable | undefined,
): Promise<SandboxRecord> {
  const again = async (target: string): Promise<SandboxRecord> =>
    core.store.sandboxes.resolve(caller.projectId, target);
  return idempotent(core, caller, repeatable, again, async (remember) => {
    refuseWhileResting(core);
    const source = body.from === undefined ? undefined : await findSnapshot(core, caller, body.from);
    const draft =
      source === undefined ? await draftOf(core, caller, body) : await draftFrom(core, caller, body, source);
    const record = await insert(core, draft, body.name, remember);
    faultPoint('create.recorded');
    core.changes.publish(record);
    void core.drives.wake(record.id);
    return record;
  });
}

type Draft = Omit<SandboxRecord, 'name'>;

async function draftOf(core: Core, caller: Caller, body: CreateSandboxBody): Promise<Draft> {
  if (body.name !== undefined) checkName(body.name);
  const { cpus, memoryMiB, diskMiB } = body;
  const resources = checkResources({
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
    ...(diskMiB === undefined ? {} : { diskMiB }),
  });
  const description = await core.facts.get();
  const isolation = body.isolation ?? 'any';
  checkIsolation(description, isolation);
  checkFits(description, resources);
  const template = body.template ?? 'base';
  const image = imageOf(description, template);
  return fresh(core, caller, body, {
    resources,
    env: body.env ?? {},
    template,
    image: image.name,
    user: image.user,
    workdir: image.workdir === '' ? null : image.workdir,
    isolation,
  });
}

/** What goes on from a snapshot has its settings, but for what is asked otherwise. */
async function draftFrom(core: Core, caller: Caller, body: CreateSandboxBody, source: SnapshotRecord): Promise<Draft> {
  if (body.name !== undefined) checkName(body.name);
  requireReady(source, nameOf(source));
  const { spec } = source;
  if (body.template !== undefined && body.template !== spec.template)
    throw new Problem(
      'invalid',
      `Snapshot "${nameOf(source)}" is of template "${spec.template}", not of "${body.template}"`,
      { reason: 'template_mismatch', hint: 'Leave the template out: it is that of the snapshot.' },
    );
  const memory = source.kind === 'memory' && body.diskOnly !== true;
  const usable = memory && source.memoryUnusable === null;
  const resources = checkResources({
    cpus: body.cpus ?? spec.resources.cpus,
    memoryMiB: body.memoryMiB ?? spec.resources.memoryMiB,
    diskMiB: body.diskMiB ?? spec.resources.diskMiB,
  });
  if (resources.diskMiB < spec.resources.diskMiB || (usable && resources.memoryMiB < spec.resources.memoryMiB))
    throw new Problem('invalid', `Snapshot "${nameOf(source)}" needs at least what its sandbox had`, {
      reason: 'invalid_resources',
      hint: `It had ${spec.resources.memoryMiB} MiB of memory and ${spec.resources.diskMiB} MiB of disk; less memory is possible with "diskOnly".`,
    });
  const description = await core.facts.get();
  const isolation = body.isolation ?? spec.isolation;
  checkIsolation(description, isolation);
  checkFits(description, resources);
  const draft = fresh(core, caller, body, { ...spec, resources, isolation, env: { ...spec.env, ...body.env } });
  return {
    ...draft,
    sourceSnapshotId: source.id,
    parentSnapshotId: source.id,
    pointId: usable ? source.id : null,
    restoreAs: 'fork',
    resume:
      memory && source.memoryUnusable !== null
        ? { from: 'disk', lost: 'processes', why: source.memoryUnusable, atMs: draft.createdAtMs }
        : null,
  };
}

/** A sandbox of which nothing exists yet and that shall run. */
function fresh(core: Core, caller: Caller, body: CreateSandboxBody, spec: SavedSpec): Draft {
  const kind = body.kind ?? 'persistent';
  const nowMs = Date.now();
  return {
    ...spec,
    id: newId('sandbox'),
    projectId: caller.projectId,
    kind,
    desired: 'running',
    desiredReason: 'requested',
    observed: 'absent',
    generation: 1,
    labels: body.labels ?? {},
    diskId: newId('disk'),
    bootId: null,
    everRan: false,
    failure: null,
    lastExit: null,
    engine: null,
    graceMs: defaultGraceMs,
    ownerStale: false,
    timeoutAtMs: body.timeoutMs === undefined ? null : nowMs + body.timeoutMs,
    onTimeout: kind === 'ephemeral' ? 'delete' : (body.onTimeout ?? 'stop'),
    sourceSnapshotId: null,
    pointId: null,
    restoreAs: 'resume',
    savingId: null,
    pauseMemory: true,
    oldPointId: null,
    rollbackTo: null,
    rollbackMemory: false,
    dropDiskId: null,
    parentSnapshotId: null,
    resume: null,
    pausedAtMs: null,
    rest: restPolicyOf(core.settings, { kind, projectId: caller.projectId, template: spec.template }, body.rest),
    frozen: false,
    lastUsedAtMs: nowMs,
    startedAtMs: null,
    createdAtMs: nowMs,
    deletedAtMs: null,
    version: 1,
  };
}

async function insert(core: Core, draft: Draft, name: string | undefined, remember: Remember): Promise<SandboxRecord> {
  for (let tries = 1; ; tries++) {
    const record: SandboxRecord = { ...draft, name: name ?? makeUpName() };
    try {
      await core.store.transaction(async (nouns) => {
        if (record.sourceSnapshotId !== null) {
          const source = await nouns.snapshots.find(record.sourceSnapshotId);
          requireReady(source, record.sourceSnapshotId);
          // The write keeps a deletion of the snapshot apart.
          await nouns.snapshots.change(source, {});
        }
        await nouns.sandboxes.insert(record);
        await nouns.events.append({
          projectId: record.projectId,
          sandboxId: record.id,
          type: 'sandbox.created',
          atMs: record.createdAtMs,
          reason: record.desiredReason,
          message: `Sandbox "${record.name}" was created`,
          data: {
            kind: record.kind,
            template: record.template,
            ...(record.sourceSnapshotId === null ? {} : { snapshotId: record.sourceSnapshotId }),
          },
        });
        await remember(nouns, record.id satisfies SandboxId);
      });
      return record;
    } catch (error) {
      const reason = error instanceof Problem ? error.reason : undefined;
      // Another call that begins to use the same snapshot wrote it at the same time.
      const again = reason === 'changed_meanwhile' || (reason === 'name_taken' && name === undefined);
      if (!again || tries >= mostTries) throw error;
    }
  }
}
