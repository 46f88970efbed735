import { newId, type ProjectId } from '@skerry/model';
import type { Kysely } from 'kysely';
import type { Tables } from '../tables.ts';

export interface Projects {
  /** The project of the instance's first key; made when there is none. */
  first(nowMs: number): Promise<ProjectId>;
  create(name: string, nowMs: number): Promise<ProjectId>;
  /** Makes a project that was there before, under its id; one that is there stays. */
  restore(id: ProjectId, name: string, nowMs: number): Promise<void>;
}

export function projects(database: Kysely<Tables>): Projects {
  async function create(name: string, nowMs: number): Promise<ProjectId> {
    const id = newId('project');
    await database.insertInto('projects').values({ id, name, created_at: nowMs }).execute();
    return id;
  }
  return {
    create,
    async restore(id, name, nowMs) {
      await database
        .insertInto('projects')
        .values({ id, name, created_at: nowMs })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute();
    },
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
