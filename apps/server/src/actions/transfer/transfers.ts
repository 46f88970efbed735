import type { SnapshotId } from '@skerry/model';
import { finishDeletion } from '../snapshot/finish-deletion.ts';
import type { Core } from '../../core.ts';

/** Snapshots that exports and imports of this process use now. What an earlier process left of its own is not among them. */
export class Transfers {
  readonly #open = new Set<SnapshotId>();

  /** Marks a snapshot as in use. Gives back what ends that. */
  use(id: SnapshotId): Disposable {
    this.#open.add(id);
    return { [Symbol.dispose]: () => void this.#open.delete(id) };
  }

  uses(id: SnapshotId): boolean {
    return this.#open.has(id);
  }
}

/** Gives up a snapshot that a transfer made, whatever has become of it. */
export async function dropTransferred(core: Core, id: SnapshotId): Promise<void> {
  await core.store.transaction(async (nouns) => {
    const current = await nouns.snapshots.find(id);
    if (current !== undefined && current.status !== 'deleting')
      await nouns.snapshots.change(current, { status: 'deleting' });
  });
  await finishDeletion(core, id);
}

/**
 * Gives up what exports and imports left: an export that nobody reads any more, an import that did not come to its end, and one whose sandbox has all
 * it needs.
 */
export async function dropFinishedTransfers(core: Core): Promise<void> {
  for (const { id, origin, status } of await core.store.snapshots.listAll()) {
    if ((origin !== 'export' && origin !== 'import') || core.transfers.uses(id)) continue;
    const needed = origin === 'import' && status === 'ready' && (await core.store.sandboxes.listUsersOf(id)).length > 0;
    if (!needed) await dropTransferred(core, id);
  }
}
