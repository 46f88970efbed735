import { PostgresDialect } from 'kysely';
import pg from 'pg';

const int8 = 20;

/** Kysely on Postgres. `schema` keeps several instances apart in one database. 64-bit integers are read as numbers: ours are times and counts. */
export function postgresDialect(connectionString: string, schema: string): PostgresDialect {
  const pool = new pg.Pool({
    connectionString,
    max: 10,
    options: `-c search_path=${schema}`,
    types: { getTypeParser: (oid, format) => (oid === int8 ? Number : pg.types.getTypeParser(oid, format)) },
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  return new PostgresDialect({ pool });
}
