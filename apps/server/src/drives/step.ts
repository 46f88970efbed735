import type { DesiredState, SandboxId } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import type { Core } from '../core.ts';
import { boot, prepareBoot } from './boot.ts';
import { createDisk, deleteDisk, updateOwner } from './disk.ts';
import { beginHalt, halt } from './halt.ts';
import { checkBoot } from './unexpected-end.ts';

/** What the drive moves towards: a failed sandbox is let be, and nothing runs while Skerry comes to rest. */
export function targetOf(core: Core, record: SandboxRecord): DesiredState {
  if (record.desired !== 'running') return record.desired;
  return record.failure !== null || core.rest.resting ? 'stopped' : 'running';
}

/** Does one step of one sandbox. `false` when observed and desired agree. Every step may be repeated. */
export async function step(core: Core, id: SandboxId, signal: AbortSignal): Promise<boolean> {
  const record = await core.store.sandboxes.find(id);
  if (record === undefined || record.observed === 'gone') return false;
  const target = targetOf(core, record);
  switch (record.observed) {
    case 'absent':
      if (target === 'deleted') return deleteDisk(core, record, signal);
      return record.failure === null && createDisk(core, record, signal);
    case 'ready':
      if (target === 'deleted') return deleteDisk(core, record, signal);
      if (target === 'running') return prepareBoot(core, record);
      return updateOwner(core, record, signal);
    case 'booting':
      return target === 'running' ? boot(core, record, signal) : beginHalt(core, record);
    case 'running':
      if (target !== 'running') return beginHalt(core, record);
      return (await checkBoot(core, record, signal)) || updateOwner(core, record, signal);
    case 'halting':
      return halt(core, record, target, signal);
  }
}
