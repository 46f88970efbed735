import { readFileSync } from 'node:fs';
import { Problem, restActions, wakeSources } from '@skerry/model';
import { bodyParser, oneOf, type ServerConfig } from '@skerry/protocol';
import { Type } from 'typebox';

const price = Type.Number({ minimum: 0 });
const duration = Type.Union([Type.Integer({ minimum: 1000 }), Type.Null()]);
const RestDefaults = Type.Object(
  {
    afterMs: Type.Optional(duration),
    action: Type.Optional(oneOf(restActions)),
    wakeOn: Type.Optional(oneOf(wakeSources)),
    expireAfterMs: Type.Optional(duration),
  },
  { additionalProperties: false },
);

const parse = bodyParser(
  Type.Object({
    version: Type.Literal(1),
    instance: Type.String({ pattern: '^[a-z0-9]{1,32}$' }),
    databaseFile: Type.String({ minLength: 1 }),
    hostSocket: Type.String({ minLength: 1 }),
    apiSocket: Type.String({ minLength: 1 }),
    gatewaySocket: Type.String({ minLength: 1 }),
    adminSocket: Type.String({ minLength: 1 }),
    masterKey: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    firstKey: Type.Object({ hash: Type.String({ pattern: '^[0-9a-f]{64}$' }), hint: Type.String({ maxLength: 32 }) }),
    prices: Type.Optional(
      Type.Object({
        currency: Type.String({ minLength: 1, maxLength: 16 }),
        hour: Type.Object({ awake: price, frozen: price, paused: price, stopped: price }),
        cpuHour: price,
      }),
    ),
    rest: Type.Optional(RestDefaults),
    restOf: Type.Optional(
      Type.Object({
        projects: Type.Optional(Type.Record(Type.String(), RestDefaults)),
        templates: Type.Optional(Type.Record(Type.String(), RestDefaults)),
      }),
    ),
    logLevel: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
  }),
);

/** Reads the file that the supervisor wrote. Throws `invalid` and names the field; its values are secrets and are not shown. */
export function readConfig(path: string): ServerConfig {
  try {
    return parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    const detail = cause instanceof Problem ? `: ${cause.message}` : '';
    throw new Problem('invalid', `The configuration "${path}" cannot be used${detail}`, {
      reason: 'invalid_config',
      cause,
    });
  }
}
