import type { SandboxId } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import type { Core } from '../core.ts';
import { boot, prepareBoot } from './boot.ts';
import { createDisk, updateOwner } from './disk.ts';
import { beginHalt, halt } from './halt.ts';
import { dropOldPoints } from './points.ts';
import { removeAll } from './remove.ts';
import { deleteDroppedDisk, rollBack } from './rollback.ts';
import { beginSaving, save } from './saving.ts';
import { makeSnapshot } from './snapshots.ts';
import { pausesMemory, targetOf } from './target.ts';
import { checkBoot } from './unexpected-end.ts';

/** Does one step of one sandbox. `false` when observed and desired agree. Every step may be repeated. */
export async function step(core: Core, id: SandboxId, signal: AbortSignal): Promise<boolean> {
  const record = await core.store.sandboxes.find(id);
  if (record === undefined || record.observed === 'gone') return false;
  const target = await targetOf(core, record);
  switch (record.observed) {
    case 'absent':
      if (target === 'deleted') return removeAll(core, record, signal);
      return record.failure === null && createDisk(core, record, signal);
    case 'ready':
      if (target === 'deleted') return removeAll(core, record, signal);
      if (await makeSnapshot(core, record, target, signal)) return true;
      if (await dropOldPoints(core, record)) return true;
      if (await changeDisk(core, record, signal)) return true;
      if (target === 'running') return prepareBoot(core, record);
      return updateOwner(core, record, signal);
    case 'booting':
      return target === 'running' ? boot(core, record, signal) : beginHalt(core, record);
    case 'running':
      if (target === 'deleted') return beginHalt(core, record);
      if (await checkBoot(core, record, signal)) return true;
      if (await makeSnapshot(core, record, target, signal)) return true;
      if (await changeDisk(core, record, signal)) return true;
      if (target === 'paused' && pausesMemory(record)) return beginSaving(core, record, signal);
      if (target !== 'running') return beginHalt(core, record);
      return updateOwner(core, record, signal);
    case 'saving':
      return target === 'deleted' ? beginHalt(core, record) : save(core, record, signal);
    case 'halting':
      return halt(core, record, target, signal);
  }
}

/** Goes on with a rollback, and then deletes the disk that is left over. */
async function changeDisk(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  if (record.rollbackTo !== null) return !core.rest.resting && rollBack(core, record, record.rollbackTo, signal);
  return record.dropDiskId !== null && deleteDroppedDisk(core, record, record.dropDiskId, signal);
}
