import { type KeyId, Problem, type ProjectId } from '@skerry/model';
import type { Kysely, Selectable } from 'kysely';
import { decodeCursor, encodeCursor, type Page, toPage } from '../cursor.ts';
import type { Tables } from '../tables.ts';

/** What a key may do: `viewer` reads · `member` also creates, uses and deletes · `admin` also manages keys and garbage. */
export type StoredRole = 'admin' | 'member' | 'viewer';

export interface KeyRecord {
  readonly id: KeyId;
  readonly projectId: ProjectId;
  readonly name: string;
  readonly role: StoredRole;
  /** SHA-256 of the key, hex. */
  readonly hash: string;
  /** First characters of the key. */
  readonly hint: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
}

export interface Keys {
  insert(key: KeyRecord): Promise<void>;
  findByHash(hash: string): Promise<KeyRecord | undefined>;
  get(projectId: ProjectId, id: KeyId): Promise<KeyRecord>;
  /** Oldest first. */
  list(
    projectId: ProjectId,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<Page<KeyRecord>>;
  /** Revokes a key; a revoked one stays as it is. Throws `not_found`. */
  revoke(projectId: ProjectId, id: KeyId, nowMs: number): Promise<KeyRecord>;
  /** Gives all keys of a project to another one. */
  move(from: ProjectId, to: ProjectId): Promise<void>;
}

export function keys(database: Kysely<Tables>): Keys {
  async function get(projectId: ProjectId, id: KeyId): Promise<KeyRecord> {
    const row = await database
      .selectFrom('api_keys')
      .selectAll()
      .where('id', '=', id)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
    if (row === undefined) throw new Problem('not_found', `There is no key "${id}"`, { reason: 'key_not_found' });
    return toKey(row);
  }
  return {
    get,
    async insert(key) {
      await database
        .insertInto('api_keys')
        .values({
          id: key.id,
          project_id: key.projectId,
          name: key.name,
          role: key.role,
          hash: key.hash,
          hint: key.hint,
          created_at: key.createdAtMs,
          expires_at: key.expiresAtMs,
          revoked_at: key.revokedAtMs,
        })
        .execute();
    },
    async findByHash(hash) {
      const row = await database.selectFrom('api_keys').selectAll().where('hash', '=', hash).executeTakeFirst();
      return row === undefined ? undefined : toKey(row);
    },
    async list(projectId, { limit, cursor }) {
      let query = database.selectFrom('api_keys').selectAll().where('project_id', '=', projectId);
      if (cursor !== undefined) {
        const { time, id } = decodeCursor('key', cursor);
        query = query.where((e) =>
          e.or([e('created_at', '>', time), e.and([e('created_at', '=', time), e('id', '>', id)])]),
        );
      }
      const rows = await query
        .orderBy('created_at')
        .orderBy('id')
        .limit(limit + 1)
        .execute();
      return toPage(rows.map(toKey), limit, (last) => encodeCursor('key', last.createdAtMs, last.id));
    },
    async revoke(projectId, id, nowMs) {
      await database
        .updateTable('api_keys')
        .set({ revoked_at: nowMs })
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .where('revoked_at', 'is', null)
        .execute();
      return get(projectId, id);
    },
    async move(from, to) {
      await database.updateTable('api_keys').set({ project_id: to }).where('project_id', '=', from).execute();
    },
  };
}

function toKey(row: Selectable<Tables['api_keys']>): KeyRecord {
  return {
    id: row.id as KeyId,
    projectId: row.project_id as ProjectId,
    name: row.name,
    role: row.role as StoredRole,
    hash: row.hash,
    hint: row.hint,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    revokedAtMs: row.revoked_at,
  };
}
