/** The database that a store lies in. */
export type StoreDialect = 'sqlite' | 'postgres';

/** The statements that bring a database from the schema before to this one. A migration that was released is never edited. */
export type Migration = (dialect: StoreDialect) => readonly string[];
