import { Kysely, sql } from 'kysely';
import { nodeSqliteDialect } from './dialect/node-sqlite.ts';
import { postgresDialect } from './dialect/postgres.ts';
import { migrate } from './migrations/migrate.ts';
import type { StoreDialect } from './migrations/migration.ts';
import { type ActivityNoun, activity } from './nouns/activity.ts';
import { type Boots, boots } from './nouns/boots.ts';
import { type Events, events } from './nouns/events.ts';
import { type Holds, holds } from './nouns/holds.ts';
import { type Idempotency, idempotency } from './nouns/idempotency.ts';
import { type Keys, keys } from './nouns/keys.ts';
import { type Projects, projects } from './nouns/projects.ts';
import { type Sandboxes, sandboxes } from './nouns/sandboxes.ts';
import { type Snapshots, snapshots } from './nouns/snapshots.ts';
import type { Tables } from './tables.ts';

/** Everything that the store holds, by noun. */
export interface StoreNouns {
  readonly projects: Projects;
  readonly keys: Keys;
  readonly sandboxes: Sandboxes;
  readonly boots: Boots;
  readonly events: Events;
  readonly idempotency: Idempotency;
  readonly snapshots: Snapshots;
  readonly activity: ActivityNoun;
  readonly holds: Holds;
}

export interface Store extends StoreNouns, AsyncDisposable {
  /** Runs work in one transaction: all of it is durable when it returns, or none of it happened. */
  transaction<T>(work: (nouns: StoreNouns) => Promise<T>): Promise<T>;
  /** Removes traces of deleted values from the files that hold the database; to be awaited before a secret is said to be gone. */
  scrub(): Promise<void>;
}

export type StoreLocation =
  | { readonly dialect: 'sqlite'; readonly file: string }
  | { readonly dialect: 'postgres'; readonly connectionString: string; readonly schema: string };

/** Opens a store and brings its schema up to date. Throws `precondition_failed` for a schema that is newer than this program. */
export async function openStore(location: StoreLocation): Promise<Store> {
  const database = new Kysely<Tables>({
    dialect:
      location.dialect === 'sqlite'
        ? nodeSqliteDialect(location.file)
        : postgresDialect(location.connectionString, location.schema),
  });
  try {
    if (location.dialect === 'postgres')
      await sql`create schema if not exists ${sql.id(location.schema)}`.execute(database);
    await migrate(database, location.dialect);
  } catch (error) {
    await database.destroy();
    throw error;
  }
  return {
    ...nounsOf(database, location.dialect),
    transaction: (work) =>
      database.transaction().execute((transaction) => work(nounsOf(transaction, location.dialect))),
    async scrub() {
      // Values deleted in the database file are overwritten, but stay in the write-ahead log until it is truncated.
      if (location.dialect === 'sqlite') await sql`pragma wal_checkpoint(truncate)`.execute(database);
    },
    [Symbol.asyncDispose]: () => database.destroy(),
  };
}

function nounsOf(database: Kysely<Tables>, dialect: StoreDialect): StoreNouns {
  return {
    projects: projects(database),
    keys: keys(database),
    sandboxes: sandboxes(database),
    boots: boots(database),
    events: events(database, dialect),
    idempotency: idempotency(database),
    snapshots: snapshots(database),
    activity: activity(database),
    holds: holds(database),
  };
}
