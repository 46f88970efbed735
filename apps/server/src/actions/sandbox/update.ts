import { checkName } from '@skerry/model';
import type { UpdateSandboxBody } from '@skerry/protocol';
import type { SandboxPatch, SandboxRecord } from '@skerry/store';
import { amend } from '../../amend.ts';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { withRest } from '../../rest/policy.ts';
import { findSandbox } from './find.ts';
import { refuseDeleted } from './refuse-deleted.ts';

/** Changes name, labels, timeout or how it rests. The blob beside the disk follows by the drive. */
export async function updateSandbox(
  core: Core,
  caller: Caller,
  idOrName: string,
  body: UpdateSandboxBody,
): Promise<SandboxRecord> {
  if (body.name !== undefined) checkName(body.name);
  const { id } = await findSandbox(core, caller, idOrName);
  const record = await amend(core, id, (current) => {
    refuseDeleted(current);
    const { timeoutMs } = body;
    const patch: SandboxPatch = {
      ...(body.name === undefined ? {} : { name: body.name }),
      ...(body.labels === undefined ? {} : { labels: body.labels }),
      ...(timeoutMs === undefined ? {} : { timeoutAtMs: timeoutMs === null ? null : Date.now() + timeoutMs }),
      ...(body.rest === undefined ? {} : { rest: withRest(current.rest, body.rest) }),
      ...(body.onTimeout === undefined || current.kind === 'ephemeral' ? {} : { onTimeout: body.onTimeout }),
    };
    const fields = Object.keys(patch);
    if (fields.length === 0) return undefined;
    return {
      patch: { ...patch, ownerStale: true },
      event: { type: 'sandbox.updated', message: `Sandbox "${current.name}" was changed`, data: { fields } },
    };
  });
  void core.drives.wake(id);
  return record;
}
