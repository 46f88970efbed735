import {
  isId,
  mayDesire,
  mayObserve,
  Problem,
  type ProjectId,
  type SandboxId,
  type SandboxStatus,
  type SnapshotId,
} from '@skerry/model';
import { type Kysely, sql } from 'kysely';
import { decodeCursor, encodeCursor, type Page, toPage } from '../cursor.ts';
import { fromRow, type SandboxRecord, toRow } from '../sandbox-record.ts';
import type { SandboxesTable, Tables } from '../tables.ts';

/** What a change may touch; the identity stays. */
export type SandboxPatch = Partial<Omit<SandboxRecord, 'id' | 'projectId' | 'kind' | 'createdAtMs' | 'version'>>;

export interface SandboxFilter {
  readonly statuses?: readonly SandboxStatus[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly name?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Sandboxes {
  /** Throws `already_exists` when the name is taken. */
  insert(record: SandboxRecord): Promise<void>;
  find(id: SandboxId): Promise<SandboxRecord | undefined>;
  /** By id (deleted ones too) or by name (those that exist; of these, one that is not going away first). Throws `not_found`. */
  resolve(projectId: ProjectId, idOrName: string): Promise<SandboxRecord>;
  /**
   * One compare-and-set: writes the patch on the very version that was read, and gives back the new record. Throws `conflict` with reason
   * `changed_meanwhile` when somebody else wrote first, and `conflict` with reason `move_refused` for a move that the state tables refuse.
   */
  change(current: SandboxRecord, patch: SandboxPatch): Promise<SandboxRecord>;
  /** Newest first; all but deleted ones when no status is asked for. */
  list(projectId: ProjectId, filter: SandboxFilter): Promise<Page<SandboxRecord>>;
  /** Ids of those whose observed state is not the desired one or whose boot may have ended, most recently used first. */
  listUnsettled(): Promise<readonly SandboxId[]>;
  listAllLive(): Promise<readonly SandboxRecord[]>;
  listTimedOut(nowMs: number, limit: number): Promise<readonly SandboxRecord[]>;
  nextTimeoutAtMs(): Promise<number | undefined>;
  /** Sandboxes whose files were made from a snapshot, oldest first; deleted ones too. */
  listMadeFrom(snapshotId: SnapshotId): Promise<readonly SandboxRecord[]>;
  /** Sandboxes that need a snapshot to get where they are going: their disk or their next boot is made from it. */
  listUsersOf(snapshotId: SnapshotId): Promise<readonly SandboxRecord[]>;
  countByStatus(projectId?: ProjectId): Promise<Readonly<Record<string, number>>>;
  /** Removes the rows of sandboxes deleted before a time, with their boots and events; those of which a snapshot is left stay. */
  expireGone(beforeMs: number): Promise<void>;
}

export function sandboxes(database: Kysely<Tables>): Sandboxes {
  const all = () => database.selectFrom('sandboxes').selectAll('sandboxes');
  const unsettled = sql<boolean>`(desired not in ('stopped', 'paused') or observed <> 'ready' or owner_stale = 1
    or coalesce(old_point_id, saving_id, rollback_to, drop_disk_id) is not null
    or exists (select 1 from snapshots where snapshots.sandbox_id = sandboxes.id and snapshots.status = 'creating'))`;

  async function setLabels(record: SandboxRecord): Promise<void> {
    await database.deleteFrom('sandbox_labels').where('sandbox_id', '=', record.id).execute();
    const rows = Object.entries(record.labels).map(([key, value]) => ({ sandbox_id: record.id, key, value }));
    if (rows.length > 0) await database.insertInto('sandbox_labels').values(rows).execute();
  }

  return {
    async insert(record) {
      await onNameTaken(record.name, () => database.insertInto('sandboxes').values(toRow(record)).execute());
      if (Object.keys(record.labels).length > 0) await setLabels(record);
    },

    async find(id) {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : fromRow(row);
    },

    async resolve(projectId, idOrName) {
      const query = all().where('project_id', '=', projectId);
      const row = isId('sandbox', idOrName)
        ? await query.where('id', '=', idOrName).executeTakeFirst()
        : await query
            .where('name', '=', idOrName)
            .where('observed', '<>', 'gone')
            .orderBy(sql`case when desired = 'deleted' then 1 else 0 end`)
            .orderBy('created_at', 'desc')
            .limit(1)
            .executeTakeFirst();
      if (row === undefined)
        throw new Problem('not_found', `There is no sandbox "${idOrName.slice(0, 80)}"`, {
          reason: 'sandbox_not_found',
          hint: 'List them with "skerry ls" or GET /v1/sandboxes.',
        });
      return fromRow(row);
    },

    async change(current, patch) {
      const next: SandboxRecord = { ...current, ...patch, version: current.version + 1 };
      if (!mayDesire(current.desired, next.desired) || !mayObserve(current.observed, next.observed))
        throw new Problem(
          'conflict',
          `Sandbox "${current.name}" cannot go from ${current.desired}/${current.observed} to ${next.desired}/${next.observed}`,
          { reason: 'move_refused' },
        );
      const { id, ...row } = toRow(next);
      const result = await onNameTaken(next.name, () =>
        database
          .updateTable('sandboxes')
          .set(row)
          .where('id', '=', id)
          .where('version', '=', current.version)
          .executeTakeFirst(),
      );
      if (result.numUpdatedRows === 0n)
        throw new Problem('conflict', `Sandbox "${current.name}" was changed by somebody else at the same time`, {
          reason: 'changed_meanwhile',
          hint: 'Try again.',
        });
      if (patch.labels !== undefined) await setLabels(next);
      return next;
    },

    async list(projectId, { statuses, labels, name, limit, cursor }) {
      let query = all().where('project_id', '=', projectId);
      if (statuses === undefined) query = query.where(sql<boolean>`observed <> 'gone'`);
      else query = query.where('status', 'in', [...statuses]);
      if (name !== undefined) query = query.where('name', '=', name);
      for (const [key, value] of Object.entries(labels ?? {}))
        query = query.where((e) =>
          e.exists(
            e
              .selectFrom('sandbox_labels')
              .select('sandbox_id')
              .whereRef('sandbox_id', '=', 'sandboxes.id')
              .where('key', '=', key)
              .where('value', '=', value),
          ),
        );
      if (cursor !== undefined) {
        const { time, id } = decodeCursor('sandbox', cursor);
        query = query.where(sql<boolean>`(created_at, id) < (${time}, ${id})`);
      }
      const rows = await query
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute();
      return toPage(rows.map(fromRow), limit, (last) => encodeCursor('sandbox', last.createdAtMs, last.id));
    },

    async listUnsettled() {
      const rows = await database
        .selectFrom('sandboxes')
        .select('id')
        .where(sql<boolean>`observed <> 'gone'`)
        .where(unsettled)
        .orderBy('last_used_at', 'desc')
        .execute();
      return rows.map((row) => row.id as SandboxId);
    },

    async listAllLive() {
      const rows = await all().where(sql<boolean>`observed <> 'gone'`).execute();
      return rows.map(fromRow);
    },

    async listTimedOut(nowMs, limit) {
      const rows = await all()
        .where('timeout_at', '<=', nowMs)
        .where(sql<boolean>`timeout_at is not null and observed <> 'gone'`)
        .orderBy('timeout_at')
        .limit(limit)
        .execute();
      return rows.map(fromRow);
    },

    async nextTimeoutAtMs() {
      const row = await database
        .selectFrom('sandboxes')
        .select('timeout_at')
        .where(sql<boolean>`timeout_at is not null and observed <> 'gone'`)
        .orderBy('timeout_at')
        .limit(1)
        .executeTakeFirst();
      return row?.timeout_at ?? undefined;
    },

    async listMadeFrom(snapshotId) {
      const rows = await all()
        .where('source_snapshot_id', '=', snapshotId)
        .where(sql<boolean>`source_snapshot_id is not null`)
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(fromRow);
    },

    async listUsersOf(snapshotId) {
      const rows = await all()
        .where((e) =>
          e.or([
            e('point_id', '=', snapshotId),
            e('rollback_to', '=', snapshotId),
            e.and([e('source_snapshot_id', '=', snapshotId), e('observed', '=', 'absent')]),
          ]),
        )
        .where(sql<boolean>`observed <> 'gone'`)
        .execute();
      return rows.map(fromRow);
    },

    async countByStatus(projectId) {
      let query = database.selectFrom('sandboxes').select((e) => ['status', e.fn.countAll<number>().as('count')]);
      if (projectId !== undefined) query = query.where('project_id', '=', projectId);
      const rows = await query.where('status', '<>', 'deleted').groupBy('status').execute();
      return Object.fromEntries(rows.map((row) => [row.status, Number(row.count)]));
    },

    async expireGone(beforeMs) {
      await database
        .deleteFrom('sandboxes')
        .where(sql<boolean>`observed = 'gone'`)
        .where('deleted_at', '<', beforeMs)
        .where(sql<boolean>`not exists (select 1 from snapshots where snapshots.sandbox_id = sandboxes.id)`)
        .execute();
    },
  };
}

/** Runs a write and tells a taken name from other failures. */
async function onNameTaken<T>(name: SandboxesTable['name'], write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const { code, constraint } = error as { code?: unknown; constraint?: unknown };
    const message = error instanceof Error ? error.message : '';
    const taken =
      (code === '23505' && constraint === 'sandboxes_name') ||
      /UNIQUE constraint failed: sandboxes\.project_id, sandboxes\.name/.test(message);
    if (!taken) throw error;
    throw new Problem('already_exists', `A sandbox named "${name}" already exists`, {
      reason: 'name_taken',
      hint: 'Choose another name, or delete that sandbox first.',
      cause: error,
    });
  }
}
