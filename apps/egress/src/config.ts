import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { Problem } from '@skerry/model';
import type { EgressConfig } from '@skerry/protocol';

const levels = ['debug', 'info', 'warn', 'error'] as const;

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65536;
}

function isUpstream(value: unknown): value is { address: string; port: number } {
  if (typeof value !== 'object' || value === null) return false;
  const { address, port } = value as Record<string, unknown>;
  return typeof address === 'string' && isIP(address) !== 0 && isPort(port);
}

/** Reads a configuration. Throws `invalid` with the field that is wrong. */
export function parseConfig(text: string): EgressConfig {
  const wrong = (what: string): Problem => new Problem('invalid', `The configuration of egress is wrong: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw wrong('it is no object');
  const { version, instance, listenAddress, resolverPort, upstreams, logLevel } = value as Record<string, unknown>;
  if (version !== 1) throw wrong(`version ${JSON.stringify(version)} is not 1`);
  if (typeof instance !== 'string') throw wrong('"instance" is no text');
  if (typeof listenAddress !== 'string' || isIP(listenAddress) === 0) throw wrong('"listenAddress" is no address');
  if (!isPort(resolverPort)) throw wrong('"resolverPort" is no port');
  if (!Array.isArray(upstreams) || !upstreams.every(isUpstream)) throw wrong('"upstreams" are no addresses with ports');
  const level = levels.find((candidate) => candidate === logLevel);
  if (level === undefined) throw wrong(`"logLevel" is none of ${levels.join(', ')}`);
  return { version, instance, listenAddress, resolverPort, upstreams, logLevel: level };
}

export async function readConfig(file: string): Promise<EgressConfig> {
  return parseConfig(await readFile(file, 'utf8'));
}
