import { join } from 'node:path';
import { readFileIfExists } from '@skerry/kit';
import { Problem, type RestPolicy, restActions, wakeSources } from '@skerry/model';
import type { PricesConfig, ServerConfig } from '@skerry/protocol';

/** What the operator may set in `settings.json` of the data directory. Version 1; everything has a default. */
export interface Settings {
  readonly prices?: PricesConfig;
  readonly rest?: Partial<RestPolicy>;
  readonly restOf?: NonNullable<ServerConfig['restOf']>;
}

/** Reads the operator's settings; none when there is no such file. Throws `invalid` and names the field. */
export async function readSettings(dataDir: string): Promise<Settings> {
  const file = join(dataDir, 'settings.json');
  const text = await readFileIfExists(file);
  if (text === undefined) return {};
  return parseSettings(text, file);
}

type Fields = Readonly<Record<string, unknown>>;

export function parseSettings(text: string, file: string): Settings {
  try {
    const root = fieldsOf(JSON.parse(text), 'the document', ['version', 'prices', 'rest', 'restOf']);
    if (root['version'] !== 1) throw new Error('its "version" is not 1');
    const { prices, rest, restOf } = root;
    return {
      ...(prices === undefined ? {} : { prices: parsePrices(prices) }),
      ...(rest === undefined ? {} : { rest: parseRest(rest, 'rest') }),
      ...(restOf === undefined ? {} : { restOf: parseRestOf(restOf) }),
    };
  } catch (cause) {
    const why =
      cause instanceof SyntaxError ? 'it is not JSON' : cause instanceof Error ? cause.message : String(cause);
    throw new Problem('invalid', `"${file}" cannot be used: ${why}`, {
      reason: 'invalid_settings',
      hint: 'See "Settings" in docs/cli.md, or remove the file.',
      cause,
    });
  }
}

function parsePrices(value: unknown): PricesConfig {
  const given = fieldsOf(value, 'prices', ['currency', 'hour', 'cpuHour']);
  const hour = fieldsOf(given['hour'] ?? {}, 'prices.hour', ['awake', 'frozen', 'paused', 'stopped']);
  const { currency } = given;
  if (typeof currency !== 'string' || !/^[A-Za-z]{1,8}$/.test(currency))
    throw new Error('prices.currency is no currency');
  return {
    currency,
    hour: {
      awake: priceOf(hour['awake'], 'prices.hour.awake'),
      frozen: priceOf(hour['frozen'], 'prices.hour.frozen'),
      paused: priceOf(hour['paused'], 'prices.hour.paused'),
      stopped: priceOf(hour['stopped'], 'prices.hour.stopped'),
    },
    cpuHour: priceOf(given['cpuHour'], 'prices.cpuHour'),
  };
}

function parseRestOf(value: unknown): NonNullable<Settings['restOf']> {
  const { projects, templates } = fieldsOf(value, 'restOf', ['projects', 'templates']);
  const each = (rules: unknown, path: string): Record<string, Partial<RestPolicy>> =>
    Object.fromEntries(
      Object.entries(fieldsOf(rules, path)).map(([name, rest]) => [name, parseRest(rest, `${path}.${name}`)]),
    );
  return {
    ...(projects === undefined ? {} : { projects: each(projects, 'restOf.projects') }),
    ...(templates === undefined ? {} : { templates: each(templates, 'restOf.templates') }),
  };
}

function parseRest(value: unknown, path: string): Partial<RestPolicy> {
  const given = fieldsOf(value, path, ['afterMs', 'action', 'wakeOn', 'expireAfterMs']);
  const { afterMs, action, wakeOn, expireAfterMs } = given;
  return {
    ...(afterMs === undefined ? {} : { afterMs: durationOf(afterMs, `${path}.afterMs`) }),
    ...(action === undefined ? {} : { action: wordOf(action, restActions, `${path}.action`) }),
    ...(wakeOn === undefined ? {} : { wakeOn: wordOf(wakeOn, wakeSources, `${path}.wakeOn`) }),
    ...(expireAfterMs === undefined ? {} : { expireAfterMs: durationOf(expireAfterMs, `${path}.expireAfterMs`) }),
  };
}

/** An object; with `names`, one that has no other fields. */
function fieldsOf(value: unknown, path: string, names?: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${path} is no object`);
  const unknown = names === undefined ? undefined : Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`${path} has "${unknown}"; it may have ${names?.join(', ')}`);
  return value as Fields;
}

function priceOf(value: unknown, path: string): number {
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw new Error(`${path} is no price`);
  return value;
}

function durationOf(value: unknown, path: string): number | null {
  if (value === null || (typeof value === 'number' && Number.isInteger(value) && value >= 1000)) return value;
  throw new Error(`${path} is neither a number of milliseconds from 1000 nor null`);
}

function wordOf<T extends string>(value: unknown, words: readonly T[], path: string): T {
  const word = words.find((known) => known === value);
  if (word === undefined) throw new Error(`${path} is none of ${words.join(', ')}`);
  return word;
}
