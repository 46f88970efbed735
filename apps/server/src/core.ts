import type { Backend } from '@skerry/backend';
import type { KeyedSerial } from '@skerry/kit';
import type { SandboxId } from '@skerry/model';
import type { Store } from '@skerry/store';
import type { Logger } from 'pino';
import type { Sightings } from './actions/garbage/sightings.ts';
import type { Transfers } from './actions/transfer/transfers.ts';
import type { KeyCache } from './auth/key-cache.ts';
import type { Changes } from './changes.ts';
import type { Drives } from './drives/drives.ts';
import type { BackendFacts } from './reconcilers/backend-facts.ts';
import type { BootView } from './reconcilers/boot-view.ts';
import type { Activities } from './rest/activities.ts';
import type { Drains } from './rest/drains.ts';
import type { RestSettings } from './rest/policy.ts';
import type { Secrets } from './secrets.ts';

/** What the parts of a running server share. */
export interface Core {
  readonly instance: string;
  readonly store: Store;
  readonly backend: Backend;
  readonly facts: BackendFacts;
  readonly boots: BootView;
  readonly changes: Changes;
  readonly drives: Drives;
  readonly keys: KeyCache;
  readonly secrets: Secrets;
  readonly log: Logger;
  /** Serialises the calls that carry the same idempotency key. */
  readonly once: KeyedSerial<string>;
  readonly activities: Activities;
  readonly drains: Drains;
  /** Serialises what puts a sandbox to rest and what wakes it from RAM. */
  readonly freezing: KeyedSerial<SandboxId>;
  readonly settings: RestSettings;
  /** Since when things have been seen without an owner. */
  readonly lonely: Sightings;
  readonly transfers: Transfers;
  /** Whether everything is being brought to rest before Skerry goes down: nothing is started any more. `unsaved`: could not be paused then. */
  readonly rest: { resting: boolean; readonly unsaved: Set<SandboxId> };
  /** Aborted when the server ends. */
  readonly ended: AbortSignal;
}
