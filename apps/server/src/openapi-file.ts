/** Makes `openapi/v1.json` from the routes. Run with `--write` to rewrite the committed file. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { KeyedSerial } from '@skerry/kit';
import { openStore } from '@skerry/store';
import { pino } from 'pino';
import { createApp } from './api/app.ts';
import { openapiText } from './api/openapi.ts';
import { Sightings } from './actions/garbage/sightings.ts';
import { Transfers } from './actions/transfer/transfers.ts';
import { KeyCache } from './auth/key-cache.ts';
import { LocalHost } from './backends/local-host.ts';
import { Changes } from './changes.ts';
import { Drives } from './drives/drives.ts';
import { BackendFacts } from './reconcilers/backend-facts.ts';
import { BootView } from './reconcilers/boot-view.ts';
import { Activities } from './rest/activities.ts';
import { Drains } from './rest/drains.ts';
import { Secrets } from './secrets.ts';

export const openapiFile: string = fileURLToPath(new URL('../../../openapi/v1.json', import.meta.url));

/** The document of all routes, as text. Nothing is called and nothing listens. */
export async function openapiOfAll(): Promise<string> {
  await using store = await openStore({ dialect: 'sqlite', file: ':memory:' });
  using backend = new LocalHost('/nowhere');
  const log = pino({ level: 'silent' });
  const ended = AbortSignal.abort();
  const app = await createApp({
    instance: 'none',
    store,
    backend,
    facts: new BackendFacts(backend),
    boots: new BootView(backend, log),
    changes: new Changes(),
    drives: new Drives(async () => false, log, ended),
    keys: new KeyCache(store),
    secrets: new Secrets(randomBytes(32).toString('hex')),
    log,
    once: new KeyedSerial(),
    activities: new Activities(store),
    drains: new Drains(),
    freezing: new KeyedSerial(),
    settings: {},
    lonely: new Sightings(),
    transfers: new Transfers(),
    rest: { resting: false, unsaved: new Set() },
    ended,
  });
  try {
    return openapiText(app);
  } finally {
    await app.close();
  }
}

if (import.meta.main && process.argv.includes('--write')) writeFileSync(openapiFile, await openapiOfAll());
