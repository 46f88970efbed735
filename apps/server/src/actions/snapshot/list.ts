import type { SandboxId } from '@skerry/model';
import { isId } from '@skerry/model';
import type { Page, SnapshotRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { findSandbox } from '../sandbox/find.ts';

export interface ListSnapshots {
  readonly sandbox?: string | undefined;
  readonly name?: string | undefined;
  /** Also those that pauses, forks and exports made. */
  readonly all?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** The project's snapshots, newest first. Those of a deleted sandbox are found by its id. */
export async function listSnapshots(core: Core, caller: Caller, query: ListSnapshots): Promise<Page<SnapshotRecord>> {
  return core.store.snapshots.list(caller.projectId, {
    sandboxId: query.sandbox === undefined ? undefined : await sandboxIdOf(core, caller, query.sandbox),
    name: query.name,
    origins: query.all === true ? undefined : ['user', 'import'],
    limit: query.limit ?? 50,
    cursor: query.cursor,
  });
}

async function sandboxIdOf(core: Core, caller: Caller, sandbox: string): Promise<SandboxId> {
  // The sandbox's row may be gone for long: its snapshots, which are of the caller's project alone, are not.
  return isId('sandbox', sandbox) ? sandbox : (await findSandbox(core, caller, sandbox)).id;
}
