import { Problem, type BootId, type SandboxId } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { absentBoot } from './halt.ts';

/**
 * Freezes a boot that was drained. The record says so first: whoever needs the sandbox from then on thaws it. Gives back whether it rests now;
 * not when somebody needed it meanwhile.
 */
export async function freeze(core: Core, id: SandboxId, bootId: BootId): Promise<boolean> {
  return core.freezing.run(id, async () => {
    const record = await amend(core, id, (current) => {
      if (current.bootId !== bootId || current.desired !== 'running' || current.observed !== 'running')
        return undefined;
      if (current.frozen || core.drives.busy(id) || !core.drains.take(bootId)) return undefined;
      return {
        patch: { frozen: true },
        event: {
          type: 'sandbox.frozen',
          reason: 'rest',
          message: `Nothing works in sandbox "${current.name}": it rests in RAM`,
          data: { bootId },
        },
      };
    });
    if (!record.frozen || record.bootId !== bootId) return false;
    faultPoint('freeze.recorded');
    try {
      await core.backend.freezeBoot(bootId);
    } catch (error) {
      // Whether it happened is not known: it is undone.
      await thawNow(core, record, 'freeze_failed');
      throw error;
    }
    faultPoint('freeze.done');
    return true;
  });
}

/** Lets a frozen sandbox go on; one that is not frozen is fine. Returns when work in it goes on. */
export async function thaw(core: Core, id: SandboxId, reason: string): Promise<SandboxRecord> {
  return core.freezing.run(id, async () => {
    const record = await core.store.sandboxes.find(id);
    if (record === undefined)
      throw new Problem('not_found', `There is no sandbox "${id}"`, { reason: 'sandbox_not_found' });
    return record.frozen ? thawNow(core, record, reason) : record;
  });
}

async function thawNow(core: Core, record: SandboxRecord, reason: string): Promise<SandboxRecord> {
  const { bootId } = record;
  if (bootId !== null) await core.backend.thawBoot(bootId).catch(absentBoot);
  faultPoint('thaw.done');
  return amend(core, record.id, (current) => {
    if (!current.frozen) return undefined;
    return {
      patch: { frozen: false },
      event: {
        type: 'sandbox.thawed',
        reason,
        message: `Sandbox "${current.name}" goes on in RAM`,
        ...(bootId === null ? {} : { data: { bootId } }),
      },
    };
  });
}
