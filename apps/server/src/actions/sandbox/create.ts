import { checkName, checkResources, newId, Problem, type SandboxId } from '@skerry/model';
import type { CreateSandboxBody } from '@skerry/protocol';
import type { SandboxRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { faultPoint } from '../../fault-points.ts';
import { makeUpName } from '../../made-up-name.ts';
import { idempotent, type Remember, type Repeatable } from '../idempotent.ts';
import { checkFits, checkIsolation, imageOf, refuseWhileResting } from './admission.ts';

const mostNameTries = 10;
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
    const draft = await draftOf(core, caller, body);
    const record = await insert(core, draft, body.name, remember);
    faultPoint('create.recorded');
    core.changes.publish(record);
    void core.drives.wake(record.id);
    return record;
  });
}

async function draftOf(core: Core, caller: Caller, body: CreateSandboxBody): Promise<Omit<SandboxRecord, 'name'>> {
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
  const kind = body.kind ?? 'persistent';
  const nowMs = Date.now();
  return {
    id: newId('sandbox'),
    projectId: caller.projectId,
    kind,
    desired: 'running',
    desiredReason: 'requested',
    observed: 'absent',
    generation: 1,
    resources,
    env: body.env ?? {},
    labels: body.labels ?? {},
    template,
    image: image.name,
    user: image.user,
    workdir: image.workdir === '' ? null : image.workdir,
    isolation,
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
    lastUsedAtMs: nowMs,
    startedAtMs: null,
    createdAtMs: nowMs,
    deletedAtMs: null,
    version: 1,
  };
}

async function insert(
  core: Core,
  draft: Omit<SandboxRecord, 'name'>,
  name: string | undefined,
  remember: Remember,
): Promise<SandboxRecord> {
  for (let tries = 1; ; tries++) {
    const record: SandboxRecord = { ...draft, name: name ?? makeUpName() };
    try {
      await core.store.transaction(async (nouns) => {
        await nouns.sandboxes.insert(record);
        await nouns.events.append({
          projectId: record.projectId,
          sandboxId: record.id,
          type: 'sandbox.created',
          atMs: record.createdAtMs,
          reason: record.desiredReason,
          message: `Sandbox "${record.name}" was created`,
          data: { kind: record.kind, template: record.template },
        });
        await remember(nouns, record.id satisfies SandboxId);
      });
      return record;
    } catch (error) {
      const taken = error instanceof Problem && error.reason === 'name_taken';
      if (!taken || name !== undefined || tries >= mostNameTries) throw error;
    }
  }
}
