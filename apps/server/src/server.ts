import type { Server as HttpServer } from 'node:http';
import type { Backend } from '@skerry/backend';
import { KeyedSerial } from '@skerry/kit';
import type { Problem } from '@skerry/model';
import { createJsonServer, type ServerConfig } from '@skerry/protocol';
import type { Store } from '@skerry/store';
import type { Logger } from 'pino';
import { ensureFirstKey } from './actions/key/ensure-first.ts';
import { adminHandlers } from './admin-api/handlers.ts';
import { createApp } from './api/app.ts';
import { Sightings } from './actions/garbage/sightings.ts';
import { dropFinishedTransfers, Transfers } from './actions/transfer/transfers.ts';
import { KeyCache } from './auth/key-cache.ts';
import { Changes } from './changes.ts';
import type { Core } from './core.ts';
import { Drives } from './drives/drives.ts';
import { step } from './drives/step.ts';
import { gatewayHandlers } from './gateway-api/handlers.ts';
import { close, listen, openSocket, prepareSocket } from './listen.ts';
import { BackendFacts } from './reconcilers/backend-facts.ts';
import { BootView } from './reconcilers/boot-view.ts';
import { followActivity, keepActivity } from './reconcilers/activity.ts';
import { every } from './reconcilers/every.ts';
import { expireTimeouts } from './reconcilers/expiry.ts';
import { removeGarbage } from './reconcilers/garbage.ts';
import { pauseUnderPressure } from './reconcilers/memory-pressure.ts';
import { restIdle } from './reconcilers/rest.ts';
import { expireRows } from './reconcilers/retention.ts';
import { settleAll } from './reconcilers/settle.ts';
import { tidySnapshots } from './reconcilers/snapshots.ts';
import { Activities } from './rest/activities.ts';
import { Drains } from './rest/drains.ts';
import { Secrets } from './secrets.ts';

const firstSyncWaitMs = 3000;

type Settings = Pick<
  ServerConfig,
  'instance' | 'apiSocket' | 'gatewaySocket' | 'adminSocket' | 'masterKey' | 'firstKey' | 'prices' | 'rest' | 'restOf'
>;

/** A server that answers. Disposing it ends its work; sandboxes go on running. */
export interface RunningServer extends AsyncDisposable {
  readonly core: Core;
}

/** Starts everything: reconcilers, and the three sockets. The store stays the caller's. */
export async function startServer(
  settings: Settings,
  store: Store,
  backend: Backend,
  log: Logger,
): Promise<RunningServer> {
  await ensureFirstKey(store, settings.firstKey);
  const end = new AbortController();
  const core: Core = {
    instance: settings.instance,
    store,
    backend,
    facts: new BackendFacts(backend),
    boots: new BootView(backend, log),
    changes: new Changes(),
    drives: new Drives((id, signal) => step(core, id, signal), log, end.signal),
    keys: new KeyCache(store),
    secrets: new Secrets(settings.masterKey),
    log,
    once: new KeyedSerial(),
    activities: new Activities(store),
    drains: new Drains(),
    freezing: new KeyedSerial(),
    settings,
    lonely: new Sightings(),
    transfers: new Transfers(),
    rest: { resting: false, unsaved: new Set() },
    ended: end.signal,
  };
  await followActivity(core);
  const work = startReconcilers(core);
  await work.firstSync;

  const app = await createApp(core);
  const onProblem = (problem: Problem): void => {
    if (problem.status >= 500) log.warn({ err: problem, reason: problem.reason }, 'An internal call failed');
  };
  const servers: HttpServer[] = [];
  const closeAll = async (): Promise<void> => {
    end.abort();
    await Promise.all([app.close(), ...servers.map(close)]);
    await Promise.all([core.drives.idle(), work.ended]);
    await core.activities.flush(Date.now());
  };
  try {
    const gateway = createJsonServer(gatewayHandlers(core), onProblem);
    const admin = createJsonServer(adminHandlers(core), onProblem);
    await prepareSocket(settings.apiSocket);
    await app.listen({ path: settings.apiSocket });
    await openSocket(settings.apiSocket);
    await listen(gateway, settings.gatewaySocket);
    servers.push(gateway);
    await listen(admin, settings.adminSocket);
    servers.push(admin);
  } catch (error) {
    await closeAll();
    throw error;
  }
  return { core, [Symbol.asyncDispose]: closeAll };
}

/** Starts what runs beside the calls. `firstSync` resolves when the backend has answered, or after a while without. */
function startReconcilers(core: Core): { readonly firstSync: Promise<void>; readonly ended: Promise<unknown> } {
  const { promise: firstSync, resolve: synced } = Promise.withResolvers<void>();
  const late = setTimeout(synced, firstSyncWaitMs);
  const settling = new Set<Promise<void>>();
  const watching = core.boots.run(core.ended, {
    onBoot: ({ sandboxId, state }) => {
      if (state !== 'starting') void core.drives.wake(sandboxId);
    },
    onSynced: () => {
      clearTimeout(late);
      synced();
      const settle = settleAll(core)
        .catch((error: unknown) => core.log.error({ err: error }, 'The sandboxes could not be looked through'))
        .finally(() => settling.delete(settle));
      settling.add(settle);
    },
  });
  const ended = Promise.all([
    watching.finally(() => clearTimeout(late)),
    every(250, core.ended, core.log, 'expiry', () => expireTimeouts(core)),
    every(500, core.ended, core.log, 'activity', () => keepActivity(core)),
    every(500, core.ended, core.log, 'rest', () => restIdle(core)),
    every(2000, core.ended, core.log, 'memory pressure', () => pauseUnderPressure(core)),
    every(1000, core.ended, core.log, 'snapshots', () => tidySnapshots(core)),
    every(60_000, core.ended, core.log, 'transfers', () => dropFinishedTransfers(core)),
    every(60_000, core.ended, core.log, 'garbage', () => removeGarbage(core)),
    every(600_000, core.ended, core.log, 'retention', () => expireRows(core)),
  ]).then(() => Promise.all(settling));
  return { firstSync, ended };
}
