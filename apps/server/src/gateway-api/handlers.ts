import { Problem } from '@skerry/model';
import { type AuthorizeAnswer, bodyParser, gatewayPaths, idSchema, type JsonHandler } from '@skerry/protocol';
import { Type } from 'typebox';
import { isKey } from '../auth/credentials.ts';
import type { Core } from '../core.ts';
import { resolve } from './resolve.ts';
import { streamRoutes } from './routes.ts';

const parseAuthorize = bodyParser(Type.Object({ key: Type.String({ maxLength: 256 }) }));
const parseResolve = bodyParser(
  Type.Object({
    sandbox: Type.String({ maxLength: 128 }),
    projectId: Type.Optional(idSchema('project')),
    waitMs: Type.Number({ minimum: 0 }),
  }),
);

/** What the gateway may ask. */
export function gatewayHandlers(core: Core): Readonly<Record<string, JsonHandler>> {
  return {
    [gatewayPaths.routes]: async ({ signal }) => streamRoutes(core, signal),
    [gatewayPaths.authorize]: async ({ body }): Promise<AuthorizeAnswer> => {
      const { key } = parseAuthorize(body);
      if (!isKey(key))
        throw new Problem('unauthenticated', 'The API key does not have the form of one', { reason: 'malformed_key' });
      const { projectId, role, ttlMs } = await core.keys.authenticate(key);
      return { projectId, role, ttlMs };
    },
    [gatewayPaths.resolve]: async ({ body, signal }) => resolve(core, parseResolve(body), signal),
  };
}
