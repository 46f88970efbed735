import { type AdminStatus, adminPaths, bodyParser, type JsonHandler } from '@skerry/protocol';
import { Type } from 'typebox';
import { recover } from '../actions/recover/recover.ts';
import type { Core } from '../core.ts';
import { restAll } from './rest.ts';

const parseRest = bodyParser(Type.Object({ deadlineMs: Type.Number({ minimum: 0 }) }));

/** What the supervisor may ask. */
export function adminHandlers(core: Core): Readonly<Record<string, JsonHandler>> {
  return {
    [adminPaths.rest]: async ({ body }) => restAll(core, parseRest(body).deadlineMs),
    [adminPaths.recover]: async () => recover(core),
    [adminPaths.status]: async (): Promise<AdminStatus> => ({
      backend: core.boots.connected ? 'ready' : 'unavailable',
      sandboxes: await core.store.sandboxes.countByStatus(),
    }),
  };
}
