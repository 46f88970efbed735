import type { DiskDiff, DiskId, SnapshotId } from '@skerry/model';
import type { Disks } from '../disks/disks.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import { collectDiff, diffTrees } from './diff-trees.ts';
import { oneUntilMs } from './one-until.ts';

/** One side of a comparison. */
export type DiskState = { readonly diskId: DiskId } | { readonly snapshotId: SnapshotId };

export interface CompareParts {
  readonly storeDir: string;
  readonly disks: Pick<Disks, 'get' | 'rootOf'>;
  readonly snapshots: Pick<Snapshots, 'rootOf' | 'use'>;
}

/** What is different in `after`, at most `limit` changes. Snapshots stay meanwhile; a disk may be in use. Throws `not_found`. */
export async function compareDisks(
  { storeDir, disks, snapshots }: CompareParts,
  before: DiskState,
  after: DiskState,
  limit: number,
  signal?: AbortSignal,
): Promise<DiskDiff> {
  using held = new DisposableStack();
  const rootOf = (state: DiskState): string => {
    if ('diskId' in state) {
      disks.get(state.diskId);
      return disks.rootOf(state.diskId);
    }
    held.defer(snapshots.use(state.snapshotId));
    return snapshots.rootOf(state.snapshotId);
  };
  const [old, now] = [rootOf(before), rootOf(after)];
  if (old === now) return { changes: [], truncated: false };
  const diff = await collectDiff(
    diffTrees(old, now, { oneUntilMs: await oneUntilMs(storeDir, old, now), signal }),
    limit,
  );
  // A disk that was deleted meanwhile looks empty.
  for (const state of [before, after]) if ('diskId' in state) disks.get(state.diskId);
  return diff;
}
