import { Problem } from '@skerry/model';
import type { RecoverAnswer } from '@skerry/protocol';
import { statusOf } from '@skerry/store';
import type { Core } from '../../core.ts';
import { planRecovery } from './plan.ts';

const gone = [
  'API keys but the first one of this instance',
  'environment variables of sandboxes',
  'events, holds, usage, and deleted sandboxes',
];

/**
 * Makes the rows of a new, empty database from what the host keeps, in one transaction. From then on nothing is started. Throws
 * `precondition_failed` when the database knows a sandbox or a snapshot: it is never written over.
 */
export async function recover(core: Core): Promise<RecoverAnswer> {
  core.rest.resting = true;
  const [disks, snapshots, boots, { images }] = [
    await core.backend.listDisks(),
    await core.backend.listSnapshots(),
    await core.backend.listBoots(),
    await core.backend.describe(),
  ];
  const plan = planRecovery({
    disks,
    snapshots,
    boots,
    imageOf: (name) => {
      const image = images.find((candidate) => candidate.name === name);
      if (image === undefined)
        throw new Problem('not_found', `There is no image "${name}", and its user is not known without it`, {
          reason: 'image_not_found',
        });
      return { user: image.user, workdir: image.workdir === '' ? null : image.workdir };
    },
  });
  const nowMs = Date.now();
  await core.store.transaction(async (nouns) => {
    const present = (await nouns.sandboxes.listAllLive()).length + (await nouns.snapshots.listAll()).length;
    if (present > 0)
      throw new Problem('precondition_failed', 'The database is not empty: it knows sandboxes or snapshots', {
        reason: 'database_present',
        hint: 'Put it aside with "skerry recover --replace".',
      });
    const fresh = await nouns.projects.first(nowMs);
    for (const [index, id] of plan.projects.entries()) {
      await nouns.projects.restore(id, index === 0 ? 'default' : `recovered-${index + 1}`, nowMs);
      if (index === 0) await nouns.keys.move(fresh, id);
    }
    for (const record of plan.sandboxes) {
      await nouns.sandboxes.insert(record);
      await nouns.events.append({
        projectId: record.projectId,
        sandboxId: record.id,
        type: 'sandbox.recovered',
        atMs: nowMs,
        reason: 'database_recovered',
        message: `Sandbox "${record.name}" was found on disk: its database was lost`,
      });
    }
    for (const { bootId: id, sandboxId, diskId, startedAtMs, address } of plan.boots) {
      const owner = plan.sandboxes.find((record) => record.bootId === id);
      if (owner === undefined || address === undefined) continue;
      await nouns.boots.insert({ id, sandboxId, diskId, generation: owner.generation, createdAtMs: startedAtMs });
      await nouns.boots.setAddress(id, address);
    }
    for (const snapshot of plan.snapshots) await nouns.snapshots.insert(snapshot);
  });
  for (const record of plan.sandboxes) core.changes.publish(record);
  core.log.warn({ sandboxes: plan.sandboxes.length, snapshots: plan.snapshots.length }, 'The database was made anew');
  return {
    sandboxes: plan.sandboxes.map((record) => ({
      id: record.id,
      name: record.name,
      status: statusOf(record).status,
    })),
    snapshots: plan.snapshots
      .filter(({ origin }) => origin === 'user' || origin === 'import')
      .map(({ id, name }) => ({ id, ...(name === null ? {} : { name }) })),
    lost: plan.lost,
    gone,
  };
}
