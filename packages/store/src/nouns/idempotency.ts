import type { ProjectId } from '@skerry/model';
import type { Kysely } from 'kysely';
import type { Tables } from '../tables.ts';

/** What a POST with an `Idempotency-Key` did. It holds no answer: answers are made again from what `target` names, and so hold no stale secret. */
export interface IdempotencyRecord {
  readonly projectId: ProjectId;
  readonly key: string;
  /** Digest of method, path and body. */
  readonly requestHash: string;
  /** Id of what the call made or changed. */
  readonly target: string;
  readonly createdAtMs: number;
}

export interface Idempotency {
  find(projectId: ProjectId, key: string): Promise<IdempotencyRecord | undefined>;
  /** To be called in the transaction of the change itself. */
  insert(record: IdempotencyRecord): Promise<void>;
  /** Removes rows made before a time. */
  expire(beforeMs: number): Promise<void>;
}

export function idempotency(database: Kysely<Tables>): Idempotency {
  return {
    async find(projectId, key) {
      const row = await database
        .selectFrom('idempotency')
        .selectAll()
        .where('project_id', '=', projectId)
        .where('key', '=', key)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      return { projectId, key, requestHash: row.request_hash, target: row.target, createdAtMs: row.created_at };
    },
    async insert(record) {
      await database
        .insertInto('idempotency')
        .values({
          project_id: record.projectId,
          key: record.key,
          request_hash: record.requestHash,
          target: record.target,
          created_at: record.createdAtMs,
        })
        .execute();
    },
    async expire(beforeMs) {
      await database.deleteFrom('idempotency').where('created_at', '<', beforeMs).execute();
    },
  };
}
