import type { BootId, SandboxId } from '@skerry/model';
import type { Kysely, Selectable } from 'kysely';
import type { ActivityTable, Tables } from '../tables.ts';

/** How far a sandbox rests, as far as it is accounted for. */
export type AccountedLevel = 'awake' | 'frozen' | 'paused' | 'stopped';

/** When something last worked in a sandbox, and how long it was at each level. Times are Unix `ms`. */
export interface ActivityRecord {
  readonly sandboxId: SandboxId;
  /** The level until which time is counted below, and the boot it had then. */
  readonly level: AccountedLevel;
  readonly bootId: BootId | null;
  /** Time up to which the counters are complete. */
  readonly accountedAtMs: number;
  /** Since when it is at this level. */
  readonly levelSinceMs: number;
  readonly awakeMs: number;
  readonly frozenMs: number;
  readonly pausedMs: number;
  readonly stoppedMs: number;
  /** Last start, resume or wake. */
  readonly wokenAtMs: number | null;
  readonly lastRequestAtMs: number | null;
  readonly lastBytesAtMs: number | null;
  readonly lastAttachedAtMs: number | null;
  readonly lastStreamAtMs: number | null;
  readonly lastCpuAtMs: number | null;
  readonly lastNetworkAtMs: number | null;
  readonly lastHoldAtMs: number | null;
}

export interface ActivityNoun {
  /** Writes the records over what there was; one of a sandbox without a row is left out. */
  put(records: readonly ActivityRecord[]): Promise<void>;
  find(sandboxId: SandboxId): Promise<ActivityRecord | undefined>;
  listAll(): Promise<readonly ActivityRecord[]>;
}

export function activity(database: Kysely<Tables>): ActivityNoun {
  return {
    async put(records) {
      for (const record of records) {
        const { sandbox_id, ...row } = toRow(record);
        // A sandbox's row may have gone since its activity was last seen: the foreign key would refuse the whole write.
        const known = await database
          .selectFrom('sandboxes')
          .select('id')
          .where('id', '=', sandbox_id)
          .executeTakeFirst();
        if (known === undefined) continue;
        await database
          .insertInto('activity')
          .values({ sandbox_id, ...row })
          .onConflict((conflict) => conflict.column('sandbox_id').doUpdateSet(row))
          .execute();
      }
    },
    async find(sandboxId) {
      const row = await database
        .selectFrom('activity')
        .selectAll()
        .where('sandbox_id', '=', sandboxId)
        .executeTakeFirst();
      return row === undefined ? undefined : fromRow(row);
    },
    async listAll() {
      return (await database.selectFrom('activity').selectAll().execute()).map(fromRow);
    },
  };
}

function toRow(record: ActivityRecord): ActivityTable {
  return {
    sandbox_id: record.sandboxId,
    level: record.level,
    boot_id: record.bootId,
    accounted_at: record.accountedAtMs,
    level_since: record.levelSinceMs,
    awake_ms: record.awakeMs,
    frozen_ms: record.frozenMs,
    paused_ms: record.pausedMs,
    stopped_ms: record.stoppedMs,
    woken_at: record.wokenAtMs,
    last_request_at: record.lastRequestAtMs,
    last_bytes_at: record.lastBytesAtMs,
    last_attached_at: record.lastAttachedAtMs,
    last_stream_at: record.lastStreamAtMs,
    last_cpu_at: record.lastCpuAtMs,
    last_network_at: record.lastNetworkAtMs,
    last_hold_at: record.lastHoldAtMs,
  };
}

function fromRow(row: Selectable<ActivityTable>): ActivityRecord {
  return {
    sandboxId: row.sandbox_id as SandboxId,
    level: row.level as AccountedLevel,
    bootId: row.boot_id as BootId | null,
    accountedAtMs: row.accounted_at,
    levelSinceMs: row.level_since,
    awakeMs: row.awake_ms,
    frozenMs: row.frozen_ms,
    pausedMs: row.paused_ms,
    stoppedMs: row.stopped_ms,
    wokenAtMs: row.woken_at,
    lastRequestAtMs: row.last_request_at,
    lastBytesAtMs: row.last_bytes_at,
    lastAttachedAtMs: row.last_attached_at,
    lastStreamAtMs: row.last_stream_at,
    lastCpuAtMs: row.last_cpu_at,
    lastNetworkAtMs: row.last_network_at,
    lastHoldAtMs: row.last_hold_at,
  };
}
