import { readFileSync } from 'node:fs';
import { Problem } from '@skerry/model';
import type { GatewayConfig } from '@skerry/protocol';

const logLevels = ['debug', 'info', 'warn', 'error'];
const texts = ['instance', 'listenHost', 'domain', 'apiSocket', 'gatewaySocket'] as const;

/** Reads the file that the supervisor wrote. Throws `invalid` and names the first wrong field. */
export function readConfig(path: string): GatewayConfig {
  return parseConfig(readFileSync(path, 'utf8'), path);
}

/** Parses the text of a config file; `path` names it in messages. */
export function parseConfig(text: string, path: string): GatewayConfig {
  const wrong = (what: string): Problem =>
    new Problem('invalid', `Cannot use the config file "${path}": ${what}`, { reason: 'invalid_config' });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw wrong('it is not an object');
  const fields = parsed as Record<string, unknown>;
  if (fields['version'] !== 1) throw wrong(`its version is "${String(fields['version'])}", not 1`);
  for (const name of texts)
    if (typeof fields[name] !== 'string' || fields[name] === '') throw wrong(`"${name}" is not a text`);
  const port = fields['listenPort'];
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65535)
    throw wrong('"listenPort" is not a port');
  if (!logLevels.includes(String(fields['logLevel']))) throw wrong(`"logLevel" is none of ${logLevels.join(', ')}`);
  return parsed as GatewayConfig;
}
