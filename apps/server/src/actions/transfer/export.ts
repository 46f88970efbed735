import { newId, Problem, type SnapshotId } from '@skerry/model';
import { type SandboxRecord, type SnapshotRecord, statusOf } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { savesMemory } from '../../drives/target.ts';
import { findSandbox } from '../sandbox/find.ts';
import { refuseDeleted } from '../sandbox/refuse-deleted.ts';
import { findSnapshot } from '../snapshot/find.ts';
import { kindFor } from '../snapshot/kind-for.ts';
import { newSnapshotRecord } from '../snapshot/new-record.ts';
import { nameOf } from '../snapshot/name-of.ts';
import { requireReady } from '../snapshot/require-ready.ts';
import { waitForSnapshot } from '../snapshot/wait.ts';
import { dropTransferred } from './transfers.ts';

/** How long the snapshot for an export may take, in `ms`. */
const mostWaitMs = 600_000;

/** A file on its way out. */
export interface Export {
  /** Name that the file may get. */
  readonly fileName: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** To be called when it was read or is no longer wanted; repeating it is fine. */
  close(): Promise<void>;
}

/** Exports a snapshot; with its memory where asked and there is some. */
export async function exportSnapshot(
  core: Core,
  caller: Caller,
  idOrName: string,
  memory: boolean,
  signal: AbortSignal,
): Promise<Export> {
  const snapshot = await findSnapshot(core, caller, idOrName);
  requireReady(snapshot, nameOf(snapshot));
  const content = await begun(core.backend.exportSnapshot(snapshot.id, memory && snapshot.kind === 'memory', signal));
  return { fileName: fileNameOf(snapshot.name ?? snapshot.sandboxName), content, close: async () => undefined };
}

/** Exports a sandbox as it is now: a snapshot is made first, and deleted by `close`. */
export async function exportSandbox(
  core: Core,
  caller: Caller,
  idOrName: string,
  memory: boolean,
  signal: AbortSignal,
): Promise<Export> {
  const found = await findSandbox(core, caller, idOrName);
  const id = newId('snapshot');
  const use = core.transfers.use(id);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    use[Symbol.dispose]();
    closed ??= dropTransferred(core, id);
    return closed;
  };
  try {
    const asked = await record(core, found, id, memory && (await savesMemory(core, found)));
    void core.drives.wake(found.id);
    const { reached } = await waitForSnapshot(core, asked, mostWaitMs, signal);
    if (!reached)
      throw new Problem('deadline', `Sandbox "${found.name}" could not be saved in time`, {
        reason: 'export_deadline',
        hint: 'Try again.',
      });
    const content = await begun(core.backend.exportSnapshot(id, asked.kind === 'memory', signal));
    return { fileName: fileNameOf(found.name), content, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function record(core: Core, found: SandboxRecord, id: SnapshotId, memory: boolean): Promise<SnapshotRecord> {
  return core.store.transaction(async (nouns) => {
    const current = (await nouns.sandboxes.find(found.id)) ?? found;
    refuseDeleted(current);
    if (current.observed === 'absent')
      throw new Problem('precondition_failed', `Sandbox "${current.name}" is ${statusOf(current).status}`, {
        reason: 'sandbox_not_ready',
        hint: 'Try again when it runs.',
      });
    // Memory is taken where there is some; where there is none, the files are all there is to take.
    const kind = kindFor(current, memory, memory ? undefined : 'disk');
    const snapshot = newSnapshotRecord(current, { id, kind, origin: 'export' });
    await nouns.snapshots.insert(snapshot);
    return snapshot;
  });
}

/** Waits for the first bytes, so that what is refused is answered as a problem, not as a file that breaks off. */
async function begun(content: AsyncIterable<Uint8Array>): Promise<AsyncGenerator<Uint8Array>> {
  const iterator = content[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    try {
      for (let next = first; next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  })();
}

function fileNameOf(name: string): string {
  return `${name}.skerry.tar.zst`;
}
