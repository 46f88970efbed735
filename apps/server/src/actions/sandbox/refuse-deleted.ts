import { Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';

/** Throws when a sandbox is deleted or on its way there. */
export function refuseDeleted(record: SandboxRecord): void {
  if (record.observed === 'gone')
    throw new Problem('not_found', `Sandbox "${record.name}" is deleted`, {
      reason: 'sandbox_deleted',
      hint: 'Create another one; a deleted sandbox cannot come back.',
    });
  if (record.desired === 'deleted')
    throw new Problem('precondition_failed', `Sandbox "${record.name}" is being deleted`, {
      reason: 'sandbox_deleting',
      hint: 'Create another one; its name is free already.',
    });
}
