import type { BootExit, BootId, BootUsage, DiskId, ExitReason, SandboxId } from '@skerry/model';
import type { Kysely, Selectable } from 'kysely';
import type { BootsTable, Tables } from '../tables.ts';

/** One life of a sandbox; kept, with its usage, as long as the sandbox's row. */
export interface BootRecord {
  readonly id: BootId;
  readonly sandboxId: SandboxId;
  readonly diskId: DiskId;
  readonly generation: number;
  /** Address as the gateway reaches it, since it runs. */
  readonly address: string | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  readonly exit: BootExit | null;
  readonly usage: BootUsage | null;
}

export interface Boots {
  insert(boot: Pick<BootRecord, 'id' | 'sandboxId' | 'diskId' | 'generation' | 'createdAtMs'>): Promise<void>;
  get(id: BootId): Promise<BootRecord | undefined>;
  setAddress(id: BootId, address: string): Promise<void>;
  /** Records how it ended; a recorded end stays as it is. */
  end(id: BootId, exit: BootExit, usage: BootUsage | undefined): Promise<void>;
  /** How many boots of a sandbox ended since a time, those for one of these reasons not counted. */
  countEnds(sandboxId: SandboxId, sinceMs: number, except: readonly ExitReason[]): Promise<number>;
  listOf(sandboxId: SandboxId): Promise<readonly BootRecord[]>;
}

export function boots(database: Kysely<Tables>): Boots {
  return {
    async insert(boot) {
      await database
        .insertInto('boots')
        .values({
          id: boot.id,
          sandbox_id: boot.sandboxId,
          disk_id: boot.diskId,
          generation: boot.generation,
          address: null,
          created_at: boot.createdAtMs,
          ended_at: null,
          exit_reason: null,
          exit: null,
          usage: null,
        })
        .execute();
    },
    async get(id) {
      const row = await database.selectFrom('boots').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : toBoot(row);
    },
    async setAddress(id, address) {
      await database.updateTable('boots').set({ address }).where('id', '=', id).execute();
    },
    async end(id, exit, usage) {
      await database
        .updateTable('boots')
        .set({
          address: null,
          ended_at: exit.atMs,
          exit_reason: exit.reason,
          exit: JSON.stringify(exit),
          usage: usage === undefined ? null : JSON.stringify(usage),
        })
        .where('id', '=', id)
        .where('ended_at', 'is', null)
        .execute();
    },
    async countEnds(sandboxId, sinceMs, except) {
      const row = await database
        .selectFrom('boots')
        .select((e) => e.fn.countAll<number>().as('count'))
        .where('sandbox_id', '=', sandboxId)
        .where('ended_at', '>', sinceMs)
        .where('exit_reason', 'not in', [...except])
        .executeTakeFirst();
      return Number(row?.count ?? 0);
    },
    async listOf(sandboxId) {
      const rows = await database
        .selectFrom('boots')
        .selectAll()
        .where('sandbox_id', '=', sandboxId)
        .orderBy('created_at')
        .execute();
      return rows.map(toBoot);
    },
  };
}

function toBoot(row: Selectable<BootsTable>): BootRecord {
  return {
    id: row.id as BootId,
    sandboxId: row.sandbox_id as SandboxId,
    diskId: row.disk_id as DiskId,
    generation: row.generation,
    address: row.address,
    createdAtMs: row.created_at,
    endedAtMs: row.ended_at,
    exit: row.exit === null ? null : (JSON.parse(row.exit) as BootExit),
    usage: row.usage === null ? null : (JSON.parse(row.usage) as BootUsage),
  };
}
