import { newId, type ProjectId } from '@skerry/model';
import type { Kysely } from 'kysely';
import type { Tables } from '../tables.ts';

export interface Projects {
  /** The project of the instance's first key; made when there is none. */
  first(nowMs: number): Promise<ProjectId>;
  create(name: string, nowMs: number): Promise<ProjectId>;
}

export function projects(database: Kysely<Tables>): Projects {
  async function create(name: string, nowMs: number): Promise<ProjectId> {
    const id = newId('project');
    await database.insertInto('projects').values({ id, name, created_at: nowMs }).execute();
    return id;
  }
  return {
    create,
    async first(nowMs) {
      const row = await database
        .selectFrom('projects')
        .select('id')
        .orderBy('created_at')
        .orderBy('id')
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? create('default', nowMs) : (row.id as ProjectId);
    },
  };
}
