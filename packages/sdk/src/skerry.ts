import { Keys } from './keys.ts';
import { Sandboxes } from './sandboxes.ts';
import { Snapshots } from './snapshots.ts';
import { SystemCalls } from './system.ts';
import { type Connection, Transport } from './transport.ts';

/** A client of one Skerry. */
export class Skerry {
  readonly sandboxes: Sandboxes;
  readonly snapshots: Snapshots;
  readonly keys: Keys;
  readonly system: SystemCalls;
  readonly url: string;

  constructor(connection: Connection) {
    const transport = new Transport(connection);
    this.url = transport.url;
    this.sandboxes = new Sandboxes(transport);
    this.snapshots = new Snapshots(transport);
    this.keys = new Keys(transport);
    this.system = new SystemCalls(transport);
  }
}
