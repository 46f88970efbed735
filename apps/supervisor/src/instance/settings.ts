import { join } from 'node:path';
import { readFileIfExists } from '@skerry/kit';
import { Problem, type RestPolicy, restActions, wakeSources } from '@skerry/model';
import type { PricesConfig } from '@skerry/protocol';

/** What the operator may set in `settings.json` of the data directory. Version 1; everything has a default. */
export interface Settings {
  readonly prices?: PricesConfig;
  readonly rest?: Partial<RestPolicy>;
}

/** Reads the operator's settings; none when there is no such file. Throws `invalid` and names the field. */
export async function readSettings(dataDir: string): Promise<Settings> {
  const file = join(dataDir, 'settings.json');
  const text = await readFileIfExists(file);
  if (text === undefined) return {};
  return parseSettings(text, file);
}

export function parseSettings(text: string, file: string): Settings {
  const wrong = (what: string, cause?: unknown): Problem =>
    new Problem('invalid', `"${file}" cannot be used: ${what}`, {
      reason: 'invalid_settings',
      hint: 'See "Settings" in docs/cli.md, or remove the file.',
      cause,
    });
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (cause) {
    throw wrong('it is not JSON', cause);
  }
  const fields = (value: unknown, path: string, names: readonly string[]): Record<string, unknown> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(`${path} is no object`);
    const unknown = Object.keys(value).find((name) => !names.includes(name));
    if (unknown !== undefined) throw wrong(`${path} has "${unknown}"; it may have ${names.join(', ')}`);
    return value as Record<string, unknown>;
  };
  const price = (value: unknown, path: string): number => {
    if (value === undefined) return 0;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw wrong(`${path} is no price`);
    return value;
  };
  const duration = (value: unknown, path: string): number | null => {
    if (value === null || (Number.isInteger(value) && (value as number) >= 1000)) return value as number | null;
    throw wrong(`${path} is neither a number of milliseconds from 1000 nor null`);
  };
  const { version, prices, rest } = fields(root, 'the document', ['version', 'prices', 'rest']);
  if (version !== 1) throw wrong('its "version" is not 1');
  let settings: Settings = {};
  if (prices !== undefined) {
    const given = fields(prices, 'prices', ['currency', 'hour', 'cpuHour']);
    const hour = fields(given['hour'] ?? {}, 'prices.hour', ['awake', 'frozen', 'paused', 'stopped']);
    const { currency } = given;
    if (typeof currency !== 'string' || !/^[A-Za-z]{1,8}$/.test(currency))
      throw wrong('prices.currency is no currency');
    settings = {
      prices: {
        currency,
        hour: {
          awake: price(hour['awake'], 'prices.hour.awake'),
          frozen: price(hour['frozen'], 'prices.hour.frozen'),
          paused: price(hour['paused'], 'prices.hour.paused'),
          stopped: price(hour['stopped'], 'prices.hour.stopped'),
        },
        cpuHour: price(given['cpuHour'], 'prices.cpuHour'),
      },
    };
  }
  if (rest !== undefined) {
    const given = fields(rest, 'rest', ['afterMs', 'action', 'wakeOn', 'expireAfterMs']);
    const oneOf = <T extends string>(name: string, words: readonly T[]): T => {
      const word = words.find((known) => known === given[name]);
      if (word === undefined) throw wrong(`rest.${name} is none of ${words.join(', ')}`);
      return word;
    };
    settings = {
      ...settings,
      rest: {
        ...(given['afterMs'] === undefined ? {} : { afterMs: duration(given['afterMs'], 'rest.afterMs') }),
        ...(given['action'] === undefined ? {} : { action: oneOf('action', restActions) }),
        ...(given['wakeOn'] === undefined ? {} : { wakeOn: oneOf('wakeOn', wakeSources) }),
        ...(given['expireAfterMs'] === undefined
          ? {}
          : { expireAfterMs: duration(given['expireAfterMs'], 'rest.expireAfterMs') }),
      },
    };
  }
  return settings;
}
