import { Problem } from '@skerry/model';
import {
  type AuthorizeAnswer,
  bodyParser,
  gatewayPaths,
  idSchema,
  type JsonHandler,
  oneOf,
  type SandboxTraffic,
} from '@skerry/protocol';
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
    by: oneOf(['request', 'api']),
  }),
);
const time = Type.Optional(Type.Number({ minimum: 0 }));
const count = Type.Integer({ minimum: 0 });
const parseActivity = bodyParser(
  Type.Object({
    items: Type.Array(
      Type.Object({
        sandboxId: idSchema('sandbox'),
        bootId: idSchema('boot'),
        requests: count,
        lastRequestAtMs: time,
        openRequests: count,
        attached: count,
        lastBytesAtMs: time,
      }),
    ),
  }),
);
const parseDrained = bodyParser(
  Type.Object({ sandboxId: idSchema('sandbox'), bootId: idSchema('boot'), result: oneOf(['drained', 'busy']) }),
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
    [gatewayPaths.activity]: async ({ body }) => {
      core.activities.report(parseActivity(body).items as readonly SandboxTraffic[], Date.now());
      return {};
    },
    [gatewayPaths.drained]: async ({ body }) => {
      core.drains.answer(parseDrained(body));
      return {};
    },
  };
}
