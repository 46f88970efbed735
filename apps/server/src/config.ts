import { readFileSync } from 'node:fs';
import { Problem } from '@skerry/model';
import { bodyParser, type ServerConfig } from '@skerry/protocol';
import { Type } from 'typebox';

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
