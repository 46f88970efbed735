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
  interface Client {
    connect(): Promise<void>;
    query(text: string): Promise<unknown>;
    end(): Promise<void>;
  }
  const pg: {
    readonly Client: new (options: { readonly connectionString: string }) => Client;
    readonly Pool: new (options: PoolOptions) => Pool;
    readonly types: { getTypeParser(oid: number, format?: string): (text: string) => unknown };
  };
  export default pg;
}
