import type { HoldId, SandboxId } from '@skerry/model';
import type { Kysely, Selectable } from 'kysely';
import type { HoldsTable, Tables } from '../tables.ts';

/** A declared lease: it keeps its sandbox awake until it ends or is released. */
export interface HoldRecord {
  readonly id: HoldId;
  readonly sandboxId: SandboxId;
  readonly reason: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export interface Holds {
  insert(hold: HoldRecord): Promise<void>;
  find(id: HoldId): Promise<HoldRecord | undefined>;
  /** Those of a sandbox that have not ended at a time, the one that ends first first. */
  listOf(sandboxId: SandboxId, nowMs: number): Promise<readonly HoldRecord[]>;
  /** Those of all sandboxes that have not ended at a time. */
  listOpen(nowMs: number): Promise<readonly HoldRecord[]>;
  /** Releases one of a sandbox's holds, or all. An absent one is fine; gives back how many there were. */
  remove(sandboxId: SandboxId, id?: HoldId): Promise<number>;
  /** Removes those that ended before a time. */
  expire(beforeMs: number): Promise<void>;
}

export function holds(database: Kysely<Tables>): Holds {
  const all = () => database.selectFrom('holds').selectAll();
  return {
    async insert(hold) {
      await database
        .insertInto('holds')
        .values({
          id: hold.id,
          sandbox_id: hold.sandboxId,
          reason: hold.reason,
          created_at: hold.createdAtMs,
          expires_at: hold.expiresAtMs,
        })
        .execute();
    },
    async find(id) {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : toHold(row);
    },
    async listOf(sandboxId, nowMs) {
      const rows = await all()
        .where('sandbox_id', '=', sandboxId)
        .where('expires_at', '>', nowMs)
        .orderBy('expires_at')
        .orderBy('id')
        .execute();
      return rows.map(toHold);
    },
    async listOpen(nowMs) {
      return (await all().where('expires_at', '>', nowMs).orderBy('expires_at').orderBy('id').execute()).map(toHold);
    },
    async remove(sandboxId, id) {
      let query = database.deleteFrom('holds').where('sandbox_id', '=', sandboxId);
      if (id !== undefined) query = query.where('id', '=', id);
      return Number((await query.executeTakeFirst()).numDeletedRows);
    },
    async expire(beforeMs) {
      await database.deleteFrom('holds').where('expires_at', '<', beforeMs).execute();
    },
  };
}

function toHold(row: Selectable<HoldsTable>): HoldRecord {
  return {
    id: row.id as HoldId,
    sandboxId: row.sandbox_id as SandboxId,
    reason: row.reason,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
  };
}
