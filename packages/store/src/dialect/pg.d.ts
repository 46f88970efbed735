/** The part of `pg` that the store uses; the package brings no types of its own. */
declare module 'pg' {
  import type { PostgresPool } from 'kysely';

  interface PoolOptions {
    readonly connectionString: string;
    readonly max?: number;
    /** Command-line options of each session, such as `-c search_path=…`. */
    readonly options?: string;
    readonly types?: { getTypeParser(oid: number, format?: string): (text: string) => unknown };
  }
  type Pool = PostgresPool & { on(event: 'error', listener: (error: Error) => void): void };
  const pg: {
    readonly Pool: new (options: PoolOptions) => Pool;
    readonly types: { getTypeParser(oid: number, format?: string): (text: string) => unknown };
  };
  export default pg;
}
