import { Problem } from '@skerry/model';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../tables.ts';
import { base } from './base.ts';
import { memory } from './memory.ts';
import type { Migration, StoreDialect } from './migration.ts';
import { rest } from './rest.ts';

/** In order; the number of a migration is its place, from 1. */
const migrations: readonly Migration[] = [base, memory, rest];

/** Brings a database to the newest schema, in one transaction. Throws `precondition_failed` for a schema that is newer than this program. */
export async function migrate(database: Kysely<Tables>, dialect: StoreDialect): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(7356001)`.execute(transaction);
    await sql`create table if not exists skerry_schema (version integer not null)`.execute(transaction);
    const { rows } = await sql<{ version: number }>`select version from skerry_schema`.execute(transaction);
    const present = rows[0]?.version ?? 0;
    if (present > migrations.length)
      throw new Problem(
        'precondition_failed',
        `The database has schema ${present}, and this version of Skerry knows schemas up to ${migrations.length}`,
        { reason: 'schema_too_new', hint: 'Start the version of Skerry that wrote it, or a newer one.' },
      );
    for (const migration of migrations.slice(present))
      for (const statement of migration(dialect)) await sql.raw(statement).execute(transaction);
    if (rows.length === 0)
      await sql`insert into skerry_schema (version) values (${migrations.length})`.execute(transaction);
    else if (present < migrations.length)
      await sql`update skerry_schema set version = ${migrations.length}`.execute(transaction);
  });
}
