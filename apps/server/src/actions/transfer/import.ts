import { checkName, newId, Problem } from '@skerry/model';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { ownerOfSnapshot } from '../../drives/owner.ts';
import { saved } from '../../drives/saving.ts';
import { faultPoint } from '../../fault-points.ts';
import { makeUpName } from '../../made-up-name.ts';
import { checkFits, checkIsolation, refuseWhileResting } from '../sandbox/admission.ts';
import { sandboxFrom, snapshotBeingImported, specOf } from './imported.ts';
import { dropTransferred } from './transfers.ts';

const mostNameTries = 10;

export interface ImportOptions {
  /** As it was where it comes from when absent, or made up when that name is taken. */
  readonly name: string | undefined;
  readonly start: boolean;
}

/**
 * Makes a sandbox from a file that an export wrote. Nothing is left of it when the file is damaged or ends early. What could not be taken over, such
 * as memory that no trusted key signed, is told in the sandbox's `resume`.
 */
export async function importSandbox(
  core: Core,
  caller: Caller,
  { name, start }: ImportOptions,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<SandboxRecord> {
  refuseWhileResting(core);
  if (name !== undefined) checkName(name);
  const description = await core.facts.get();
  if (description.diskFreeBytes <= 0) checkFits(description, { cpus: 0, memoryMiB: 0, diskMiB: 0 });
  const draft = snapshotBeingImported(
    newId('snapshot'),
    caller.projectId,
    newId('sandbox'),
    name ?? 'imported',
    Date.now(),
  );
  using _ = core.transfers.use(draft.id);
  await core.store.snapshots.insert(draft);
  faultPoint('import.recorded');
  try {
    const { id, sandboxId } = draft;
    const read = await core.backend.importSnapshot(id, sandboxId, ownerOfSnapshot(draft), content, signal);
    faultPoint('import.read');
    const { spec, name: formerly } = specOf(read.exported, read.snapshot.image, description);
    checkIsolation(description, spec.isolation);
    checkFits(description, spec.resources);
    const ready: SnapshotRecord = {
      ...draft,
      ...saved(read.snapshot),
      kind: read.snapshot.kind,
      spec,
      sandboxName: name ?? formerly ?? draft.sandboxName,
    };
    return await record(core, draft, ready, { asked: name, formerly }, start, read.lost);
  } catch (error) {
    await dropTransferred(core, draft.id);
    throw error;
  }
}

/** Writes the snapshot as it is and the sandbox that goes on from it, in one transaction. */
async function record(
  core: Core,
  draft: SnapshotRecord,
  ready: SnapshotRecord,
  names: { readonly asked: string | undefined; readonly formerly: string | undefined },
  start: boolean,
  lost: readonly string[],
): Promise<SandboxRecord> {
  for (let tries = 1; ; tries++) {
    const name = names.asked ?? (tries === 1 ? names.formerly : undefined) ?? makeUpName();
    const nowMs = Date.now();
    const sandbox = sandboxFrom(ready, { settings: core.settings, name, start, lost, nowMs });
    try {
      await core.store.transaction(async (nouns) => {
        const current = await nouns.snapshots.find(draft.id);
        if (current === undefined)
          throw new Problem('conflict', 'The import was given up meanwhile', { reason: 'superseded' });
        // What it is made of is known only now: the row that held its place is replaced.
        await nouns.snapshots.remove(draft.id);
        await nouns.snapshots.insert({ ...ready, sandboxName: name, ownerStale: true });
        await nouns.sandboxes.insert(sandbox);
        await nouns.events.append({
          projectId: sandbox.projectId,
          sandboxId: sandbox.id,
          type: 'sandbox.created',
          atMs: nowMs,
          reason: 'imported',
          message: `Sandbox "${name}" was imported`,
          data: { kind: sandbox.kind, template: sandbox.template, lost: [...lost] },
        });
      });
      faultPoint('import.recorded-sandbox');
      core.changes.publish(sandbox);
      void core.drives.wake(sandbox.id);
      return sandbox;
    } catch (error) {
      const taken = error instanceof Problem && error.reason === 'name_taken';
      if (!taken || names.asked !== undefined || tries >= mostNameTries) throw error;
    }
  }
}
