import {
  isId,
  Problem,
  type ProjectId,
  type SandboxId,
  type SnapshotId,
  type SnapshotOrigin,
  type SnapshotStatus,
} from '@skerry/model';
import { type Kysely, sql } from 'kysely';
import { decodeCursor, encodeCursor, type Page, toPage } from '../cursor.ts';
import { fromSnapshotRow, type SnapshotRecord, toSnapshotRow } from '../snapshot-record.ts';
import type { Tables } from '../tables.ts';

/** What a change may touch; what was saved stays. */
export type SnapshotPatch = Partial<
  Pick<
    SnapshotRecord,
    | 'name'
    | 'status'
    | 'parentId'
    | 'engine'
    | 'guestDigest'
    | 'memoryUnusable'
    | 'diskBytes'
    | 'exclusiveBytes'
    | 'memoryBytes'
    | 'stallMs'
    | 'ownerStale'
    | 'keepLast'
    | 'createdAtMs'
    | 'expiresAtMs'
  >
>;

export interface SnapshotFilter {
  readonly sandboxId?: SandboxId | undefined;
  readonly name?: string | undefined;
  /** Only those that somebody of these origins made; all when absent. */
  readonly origins?: readonly SnapshotOrigin[] | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Snapshots {
  /** Throws `already_exists` when the name is taken. */
  insert(record: SnapshotRecord): Promise<void>;
  find(id: SnapshotId): Promise<SnapshotRecord | undefined>;
  /** By id, or by name while it is not being deleted. Throws `not_found`. */
  resolve(projectId: ProjectId, idOrName: string): Promise<SnapshotRecord>;
  /**
   * One compare-and-set: writes the patch on the very version that was read. Throws `conflict` with reason `changed_meanwhile` when somebody else
   * wrote first. A write to a snapshot in the transaction that begins to use it keeps a concurrent deletion apart.
   */
  change(current: SnapshotRecord, patch: SnapshotPatch): Promise<SnapshotRecord>;
  /** Newest first; those that are being deleted are not shown. */
  list(projectId: ProjectId, filter: SnapshotFilter): Promise<Page<SnapshotRecord>>;
  /** Every snapshot of a sandbox, oldest first; of one status when it is given. */
  listOf(sandboxId: SandboxId, status?: SnapshotStatus): Promise<readonly SnapshotRecord[]>;
  listAll(): Promise<readonly SnapshotRecord[]>;
  /** Those that are not made yet or are being deleted, oldest first. */
  listUnsettled(): Promise<readonly SnapshotRecord[]>;
  /** Ready ones that forks are made from, oldest first. */
  listForkPoints(): Promise<readonly SnapshotRecord[]>;
  /** Ready ones whose time is over, the longest over first. */
  listExpired(nowMs: number, limit: number): Promise<readonly SnapshotRecord[]>;
  /** Ready ones whose owner blob is behind. */
  listStale(limit: number): Promise<readonly SnapshotRecord[]>;
  /** Removes the row; what came from it gets its parent as parent. An absent one is fine. */
  remove(id: SnapshotId): Promise<void>;
}

export function snapshots(database: Kysely<Tables>): Snapshots {
  const all = () => database.selectFrom('snapshots').selectAll();

  return {
    async insert(record) {
      await onNameTaken(record.name, () =>
        database.insertInto('snapshots').values(toSnapshotRow(record)).executeTakeFirst(),
      );
    },

    async find(id) {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : fromSnapshotRow(row);
    },

    async resolve(projectId, idOrName) {
      const query = all().where('project_id', '=', projectId);
      const row = isId('snapshot', idOrName)
        ? await query.where('id', '=', idOrName).executeTakeFirst()
        : await query
            .where('name', '=', idOrName)
            .where(sql<boolean>`name is not null and status <> 'deleting'`)
            .executeTakeFirst();
      if (row === undefined)
        throw new Problem('not_found', `There is no snapshot "${idOrName.slice(0, 80)}"`, {
          reason: 'snapshot_not_found',
          hint: 'List them with "skerry snapshot ls" or GET /v1/snapshots.',
        });
      return fromSnapshotRow(row);
    },

    async change(current, patch) {
      const next: SnapshotRecord = { ...current, ...patch, version: current.version + 1 };
      const { id, ...row } = toSnapshotRow(next);
      const result = await onNameTaken(next.name, () =>
        database
          .updateTable('snapshots')
          .set(row)
          .where('id', '=', id)
          .where('version', '=', current.version)
          .executeTakeFirst(),
      );
      if (result.numUpdatedRows === 0n)
        throw new Problem(
          'conflict',
          `Snapshot "${current.name ?? id}" was changed by somebody else at the same time`,
          {
            reason: 'changed_meanwhile',
            hint: 'Try again.',
          },
        );
      return next;
    },

    async list(projectId, { sandboxId, name, origins, limit, cursor }) {
      let query = all().where('project_id', '=', projectId).where('status', '<>', 'deleting');
      if (sandboxId !== undefined) query = query.where('sandbox_id', '=', sandboxId);
      if (name !== undefined) query = query.where('name', '=', name);
      if (origins !== undefined) query = query.where('origin', 'in', [...origins]);
      if (cursor !== undefined) {
        const { time, id } = decodeCursor('snapshot', cursor);
        query = query.where(sql<boolean>`(created_at, id) < (${time}, ${id})`);
      }
      const rows = await query
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute();
      return toPage(rows.map(fromSnapshotRow), limit, (last) => encodeCursor('snapshot', last.createdAtMs, last.id));
    },

    async listOf(sandboxId, status) {
      let query = all().where('sandbox_id', '=', sandboxId);
      if (status !== undefined) query = query.where('status', '=', status);
      const rows = await query.orderBy('created_at').orderBy('id').execute();
      return rows.map(fromSnapshotRow);
    },

    async listAll() {
      const rows = await all().orderBy('created_at').orderBy('id').execute();
      return rows.map(fromSnapshotRow);
    },

    async listUnsettled() {
      const rows = await all().where(sql<boolean>`status <> 'ready'`).orderBy('created_at').orderBy('id').execute();
      return rows.map(fromSnapshotRow);
    },

    async listForkPoints() {
      const rows = await all()
        .where('origin', '=', 'fork')
        .where('status', '=', 'ready')
        .orderBy('created_at')
        .execute();
      return rows.map(fromSnapshotRow);
    },

    async listExpired(nowMs, limit) {
      const rows = await all()
        .where('expires_at', '<=', nowMs)
        .where(sql<boolean>`expires_at is not null`)
        .where('status', '=', 'ready')
        .orderBy('expires_at')
        .limit(limit)
        .execute();
      return rows.map(fromSnapshotRow);
    },

    async listStale(limit) {
      const rows = await all().where('owner_stale', '=', 1).where('status', '=', 'ready').limit(limit).execute();
      return rows.map(fromSnapshotRow);
    },

    async remove(id) {
      const row = await database.selectFrom('snapshots').select('parent_id').where('id', '=', id).executeTakeFirst();
      if (row === undefined) return;
      const { parent_id } = row;
      await database
        .updateTable('snapshots')
        .set((e) => ({ parent_id, owner_stale: 1, version: e('version', '+', 1) }))
        .where('parent_id', '=', id)
        .execute();
      await database
        .updateTable('sandboxes')
        .set((e) => ({ parent_snapshot_id: parent_id, owner_stale: 1, version: e('version', '+', 1) }))
        .where('parent_snapshot_id', '=', id)
        .execute();
      await database.deleteFrom('snapshots').where('id', '=', id).execute();
    },
  };
}

/** Runs a write and tells a taken name from other failures. */
async function onNameTaken<T>(name: string | null, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const { code, constraint } = error as { code?: unknown; constraint?: unknown };
    const message = error instanceof Error ? error.message : '';
    const taken =
      (code === '23505' && constraint === 'snapshots_name') ||
      /UNIQUE constraint failed: snapshots\.project_id, snapshots\.name/.test(message);
    if (!taken) throw error;
    throw new Problem('already_exists', `A snapshot named "${name}" already exists`, {
      reason: 'name_taken',
      hint: 'Choose another name, or delete that snapshot first.',
      cause: error,
    });
  }
}
