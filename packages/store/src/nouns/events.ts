import { type EventId, newId, type ProjectId, type SandboxId } from '@skerry/model';
import { type Kysely, type Selectable, sql } from 'kysely';
import { decodeCursor, encodeCursor, type Page, toPage } from '../cursor.ts';
import type { StoreDialect } from '../migrations/migration.ts';
import type { EventsTable, Tables } from '../tables.ts';

export interface NewEvent {
  readonly projectId: ProjectId;
  readonly sandboxId: SandboxId;
  readonly type: string;
  readonly atMs: number;
  readonly reason?: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface EventRecord extends NewEvent {
  readonly id: EventId;
  /** Grows in the order in which events became visible. */
  readonly sequence: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Events {
  /** To be called in the transaction of the change that the event tells of. */
  append(event: NewEvent): Promise<void>;
  /** Oldest first, of the project or of one sandbox. */
  list(
    of: { readonly projectId: ProjectId; readonly sandboxId?: SandboxId | undefined },
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<Page<EventRecord>>;
}

export function events(database: Kysely<Tables>, dialect: StoreDialect): Events {
  return {
    async append(event) {
      // Postgres numbers rows before they are visible: without an order of commits, a reader's cursor could pass one that is yet to appear.
      if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(7356002)`.execute(database);
      await database
        .insertInto('events')
        .values({
          id: newId('event'),
          project_id: event.projectId,
          sandbox_id: event.sandboxId,
          type: event.type,
          at: event.atMs,
          reason: event.reason ?? null,
          message: event.message,
          data: JSON.stringify(event.data ?? {}),
        })
        .execute();
    },
    async list({ projectId, sandboxId }, { limit, cursor }) {
      let query = database.selectFrom('events').selectAll().where('project_id', '=', projectId);
      if (sandboxId !== undefined) query = query.where('sandbox_id', '=', sandboxId);
      if (cursor !== undefined) query = query.where('sequence', '>', decodeCursor('event', cursor).time);
      const rows = await query
        .orderBy('sequence')
        .limit(limit + 1)
        .execute();
      return toPage(rows.map(toEvent), limit, (last) => encodeCursor('event', last.sequence));
    },
  };
}

function toEvent(row: Selectable<EventsTable>): EventRecord {
  return {
    id: row.id as EventId,
    sequence: row.sequence,
    projectId: row.project_id as ProjectId,
    sandboxId: row.sandbox_id as SandboxId,
    type: row.type,
    atMs: row.at,
    ...(row.reason === null ? {} : { reason: row.reason }),
    message: row.message,
    data: JSON.parse(row.data) as Record<string, unknown>,
  };
}
