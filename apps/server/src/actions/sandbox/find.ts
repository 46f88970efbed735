import { isId, namePattern, Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';

/** A sandbox of the caller's project, by id or name. Somebody else's is answered as one that does not exist. */
export async function findSandbox(
  core: Core,
  caller: Pick<Caller, 'projectId'>,
  idOrName: string,
): Promise<SandboxRecord> {
  if (!isId('sandbox', idOrName) && !namePattern.test(idOrName))
    throw new Problem('not_found', 'There is no sandbox of that name: it is neither an id nor an allowed name', {
      reason: 'sandbox_not_found',
      hint: 'List them with "skerry ls" or GET /v1/sandboxes.',
    });
  return core.store.sandboxes.resolve(caller.projectId, idOrName);
}
