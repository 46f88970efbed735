import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from './settings.ts';

const parse = (value: unknown): unknown => parseSettings(JSON.stringify(value), 'settings.json');

test('parseSettings() reads prices and the default rest, and fills in what costs nothing', () => {
  assert.deepEqual(parse({ version: 1 }), {});
  assert.deepEqual(
    parse({
      version: 1,
      prices: { currency: 'EUR', hour: { awake: 0.05 } },
      rest: { afterMs: null, action: 'stop', expireAfterMs: 86_400_000 },
    }),
    {
      prices: { currency: 'EUR', hour: { awake: 0.05, frozen: 0, paused: 0, stopped: 0 }, cpuHour: 0 },
      rest: { afterMs: null, action: 'stop', expireAfterMs: 86_400_000 },
    },
  );
});

test('parseSettings() reads the rest of templates and projects', () => {
  const restOf = { templates: { base: { afterMs: 60_000 } }, projects: { pj1: { action: 'stop' } } };
  assert.deepEqual(parse({ version: 1, restOf }), { restOf });
});

test('parseSettings() names what is wrong', () => {
  const cases: [unknown, RegExp][] = [
    [[], /the document is no object/],
    [{}, /"version" is not 1/],
    [{ version: 1, price: {} }, /has "price"/],
    [{ version: 1, prices: { currency: '€' } }, /prices\.currency/],
    [{ version: 1, prices: { currency: 'EUR', hour: { awake: -1 } } }, /prices\.hour\.awake/],
    [{ version: 1, rest: { afterMs: 5 } }, /rest\.afterMs/],
    [{ version: 1, restOf: { templates: { base: { after: 1 } } } }, /restOf\.templates\.base has "after"/],
    [{ version: 1, rest: { action: 'sleep' } }, /rest\.action is none of pause, stop, delete/],
  ];
  for (const [value, message] of cases) assert.throws(() => parse(value), { reason: 'invalid_settings', message });
  assert.throws(() => parseSettings('{', 'settings.json'), { message: /not JSON/ });
});
