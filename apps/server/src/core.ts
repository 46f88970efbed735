import type { Backend } from '@skerry/backend';
import type { KeyedSerial } from '@skerry/kit';
import type { Store } from '@skerry/store';
import type { Logger } from 'pino';
import type { KeyCache } from './auth/key-cache.ts';
import type { Changes } from './changes.ts';
import type { Drives } from './drives/drives.ts';
import type { BackendFacts } from './reconcilers/backend-facts.ts';
import type { BootView } from './reconcilers/boot-view.ts';
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
  /** Whether everything is being brought to rest before Skerry goes down: nothing is started any more. */
  readonly rest: { resting: boolean };
  /** Aborted when the server ends. */
  readonly ended: AbortSignal;
}
