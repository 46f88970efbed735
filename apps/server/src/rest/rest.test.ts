import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { costOf, noPrices, wordsOfPrices } from './cost.ts';
import { considerRest, type RestDecision } from './decide.ts';
import { summaryOf, wakesOf, whyOf } from './explain.ts';
import type { RestFacts, SampleFacts, TrafficFacts } from './facts.ts';

const now = 1_800_000_000_000;
const minute = 60_000;
const policy = { afterMs: 10 * minute, action: 'pause', wakeOn: 'request', expireAfterMs: null } as const;
const quiet: TrafficFacts = {
  lastRequestAtMs: null,
  openRequests: 0,
  attached: 0,
  lastBytesAtMs: null,
  lastAttachedAtMs: null,
  lastStreamAtMs: null,
};
const still: SampleFacts = { cpuShare: 0.0003, networkRate: 0, atMs: now };

/** Awake for an hour, and nothing has happened since. */
function facts(changed: Partial<RestFacts> = {}): RestFacts {
  return {
    nowMs: now,
    level: 'awake',
    policy,
    startedAtMs: now - 60 * minute,
    traffic: quiet,
    seesTraffic: true,
    sample: still,
    lastCpuAtMs: null,
    lastNetworkAtMs: null,
    holds: [],
    lastHoldAtMs: null,
    timeoutAtMs: null,
    onTimeout: 'stop',
    restingSinceMs: null,
    canFreeze: true,
    notBeforeMs: null,
    ...changed,
  };
}
const held = (expiresAtMs: number) => [{ reason: 'build', createdAtMs: now - minute, expiresAtMs }];
const nothing: RestDecision = { act: 'nothing' };
const pause: RestDecision = { act: 'rest', action: 'pause', force: false };

const table: readonly [string, Partial<RestFacts>, RestDecision][] = [
  ['long without work', {}, pause],
  ['long without work, frozen', { level: 'frozen' }, pause],
  ['just started', { startedAtMs: now - 1000 }, nothing],
  ['a minute without work', { startedAtMs: now - minute }, { act: 'freeze' }],
  ['just under a minute', { startedAtMs: now - minute + 1 }, nothing],
  ['an engine that cannot freeze', { startedAtMs: now - 5 * minute, canFreeze: false }, nothing],
  ['frozen for a while', { startedAtMs: now - 5 * minute, level: 'frozen' }, nothing],
  [
    'a short rule freezes at its half',
    { policy: { ...policy, afterMs: 20_000 }, startedAtMs: now - 10_000 },
    { act: 'freeze' },
  ],
  ['a rule that stops', { policy: { ...policy, action: 'stop' } }, { act: 'rest', action: 'stop', force: false }],
  ['a rule that deletes', { policy: { ...policy, action: 'delete' } }, { act: 'rest', action: 'delete', force: false }],
  ['no rule', { policy: { ...policy, afterMs: null } }, nothing],
  ['no rule, and frozen by an earlier one', { policy: { ...policy, afterMs: null }, level: 'frozen' }, { act: 'thaw' }],
  ['a recent request', { traffic: { ...quiet, lastRequestAtMs: now - 30_000 } }, nothing],
  ['a request a minute ago', { traffic: { ...quiet, lastRequestAtMs: now - minute } }, { act: 'freeze' }],
  ['a request ten minutes ago', { traffic: { ...quiet, lastRequestAtMs: now - 10 * minute } }, pause],
  [
    'an attached client with bytes nine minutes ago',
    { traffic: { ...quiet, openRequests: 1, attached: 1, lastBytesAtMs: now - 9 * minute } },
    nothing,
  ],
  [
    'an attached client whose bytes stopped counting a minute ago',
    { traffic: { ...quiet, openRequests: 1, attached: 1, lastBytesAtMs: now - 11 * minute } },
    nothing,
  ],
  [
    'an attached client without bytes for twenty minutes',
    { traffic: { ...quiet, openRequests: 1, attached: 1, lastBytesAtMs: now - 20 * minute } },
    { act: 'rest', action: 'pause', force: true },
  ],
  ['an open stream with bytes', { traffic: { ...quiet, openRequests: 1, lastBytesAtMs: now - minute } }, nothing],
  ['CPU, without any client', { sample: { ...still, cpuShare: 1 } }, nothing],
  ['CPU just above the mark', { sample: { ...still, cpuShare: 0.0201 } }, nothing],
  ['CPU at the mark', { sample: { ...still, cpuShare: 0.02 } }, pause],
  ['CPU half a minute ago', { lastCpuAtMs: now - 30_000 }, nothing],
  ['traffic of its own', { sample: { ...still, networkRate: 5000 } }, nothing],
  ['traffic at the mark', { sample: { ...still, networkRate: 1024 } }, pause],
  ['traffic ten minutes ago', { lastNetworkAtMs: now - 10 * minute }, pause],
  ['a hold', { holds: held(now + 1) }, nothing],
  ['a hold that ended now', { holds: held(now) }, nothing],
  ['a hold that ended ten minutes ago', { lastHoldAtMs: now - 10 * minute }, pause],
  ['a hold on a frozen one', { holds: held(now + 1000), level: 'frozen' }, { act: 'thaw' }],
  ['no gateway in sight', { seesTraffic: false }, nothing],
  ['no gateway in sight, frozen', { seesTraffic: false, level: 'frozen' }, nothing],
  ['no sample yet', { sample: null }, nothing],
  ['one sample only', { sample: { atMs: now } }, nothing],
  ['samples that are old', { sample: { ...still, atMs: now - minute } }, nothing],
  ['samples that are old, frozen', { sample: null, level: 'frozen' }, pause],
  ['a rest that failed a moment ago', { notBeforeMs: now + 1000 }, { act: 'freeze' }],
  ['a timeout in a minute', { timeoutAtMs: now + minute, startedAtMs: now - 1000 }, nothing],
  ['paused', { level: 'paused', restingSinceMs: now - 1e9 }, nothing],
  [
    'paused for longer than it may',
    { level: 'paused', restingSinceMs: now - 100, policy: { ...policy, expireAfterMs: 100 } },
    { act: 'expire' },
  ],
  [
    'stopped for longer than it may',
    { level: 'stopped', restingSinceMs: now - 100, policy: { ...policy, expireAfterMs: 100 } },
    { act: 'expire' },
  ],
  [
    'paused, and held',
    { level: 'paused', restingSinceMs: now - 100, policy: { ...policy, expireAfterMs: 100 }, holds: held(now + 1) },
    nothing,
  ],
  ['awake for longer than it may rest', { policy: { ...policy, expireAfterMs: 100 } }, pause],
];

for (const [name, changed, expected] of table)
  test(`considerRest() decides ${JSON.stringify(expected)}: ${name}`, () => {
    assert.deepEqual(considerRest(facts(changed)).decision, expected);
  });

test('considerRest() tells what comes next, soonest first, and a timeout always', () => {
  const outlook = considerRest(facts({ startedAtMs: now - 10_000, timeoutAtMs: now + 2 * minute }));
  assert.deepEqual(outlook.next, [
    { rule: 'freeze', action: 'freeze', atMs: now + 50_000 },
    { rule: 'timeout', action: 'stop', atMs: now + 2 * minute },
    { rule: 'rest', action: 'pause', atMs: now + 10 * minute - 10_000 },
  ]);
  for (const level of ['awake', 'frozen', 'paused', 'stopped'] as const) {
    const { next } = considerRest(facts({ level, timeoutAtMs: now + 5, holds: held(now + minute) }));
    assert.deepEqual(
      next.find(({ rule }) => rule === 'timeout'),
      { rule: 'timeout', action: 'stop', atMs: now + 5 },
    );
  }
});

const ago = fc.integer({ min: 0, max: 30 * minute }).map((ms) => now - ms);
const maybeAgo = fc.option(ago, { nil: null });
const anyTraffic = fc.record({
  lastRequestAtMs: maybeAgo,
  attached: fc.integer({ min: 0, max: 2 }),
  openRequests: fc.integer({ min: 2, max: 4 }),
  lastBytesAtMs: maybeAgo,
  lastAttachedAtMs: maybeAgo,
  lastStreamAtMs: maybeAgo,
});
const anyFacts: fc.Arbitrary<RestFacts> = fc.record({
  nowMs: fc.constant(now),
  level: fc.constantFrom('awake', 'frozen', 'paused', 'stopped'),
  policy: fc.record({
    afterMs: fc.option(fc.integer({ min: 1000, max: 20 * minute }), { nil: null }),
    action: fc.constantFrom('pause', 'stop', 'delete'),
    wakeOn: fc.constantFrom('request', 'api', 'never'),
    expireAfterMs: fc.option(fc.integer({ min: 1000, max: 20 * minute }), { nil: null }),
  }),
  startedAtMs: ago,
  traffic: fc.oneof(anyTraffic, fc.constant(quiet)),
  seesTraffic: fc.boolean(),
  sample: fc.option(
    fc.record({
      cpuShare: fc.double({ min: 0, max: 2, noNaN: true }),
      networkRate: fc.double({ min: 0, max: 1e6, noNaN: true }),
      atMs: ago,
    }),
    { nil: null },
  ),
  lastCpuAtMs: maybeAgo,
  lastNetworkAtMs: maybeAgo,
  holds: fc.array(
    fc.record({
      reason: fc.string(),
      createdAtMs: ago,
      expiresAtMs: fc.integer({ min: now - minute, max: now + minute }),
    }),
    { maxLength: 3 },
  ),
  lastHoldAtMs: maybeAgo,
  timeoutAtMs: fc.option(fc.integer({ min: now, max: now + minute }), { nil: null }),
  onTimeout: fc.constantFrom('pause', 'stop', 'delete'),
  restingSinceMs: maybeAgo,
  canFreeze: fc.boolean(),
  notBeforeMs: fc.constant(null),
});

test('considerRest() never rests or freezes what works, nor what it does not see', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      const { decision, signals } = considerRest(given);
      const working = signals.some(({ active }) => active);
      if (working) assert.ok(decision.act === 'nothing' || decision.act === 'thaw', decision.act);
      if (given.holds.some(({ expiresAtMs }) => expiresAtMs > now)) assert.ok(working);
      if (decision.act === 'freeze' || decision.act === 'rest') {
        const { afterMs } = given.policy;
        assert.ok(given.seesTraffic && afterMs !== null);
        assert.ok(
          signals.every(({ lastAtMs }) => lastAtMs === null || now - lastAtMs >= Math.min(minute, afterMs / 2)),
        );
        if (decision.act === 'freeze') assert.equal(given.traffic.openRequests, 0);
      }
    }),
  );
});

test('considerRest() rests everything in the end, once nothing works in it and it is seen', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      fc.pre(given.policy.afterMs !== null && (given.level === 'awake' || given.level === 'frozen'));
      const later = now + 60 * minute;
      const { decision } = considerRest({
        ...given,
        nowMs: later,
        seesTraffic: true,
        sample: { cpuShare: 0.001, networkRate: 3, atMs: later },
      });
      assert.equal(decision.act, 'rest');
    }),
  );
});

test('every outlook has words for a person', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      const outlook = considerRest(given);
      const texts = [
        summaryOf(given, outlook),
        wakesOf(given.policy, given.level, true),
        ...outlook.signals.map(({ detail }) => detail),
        ...outlook.next.map((rule) => whyOf(rule, given)),
      ];
      for (const text of texts) assert.doesNotMatch(text, /undefined|NaN|null|^$/);
    }),
  );
  const idle = facts({ startedAtMs: now - 2 * minute, canFreeze: false });
  assert.equal(
    summaryOf(idle, considerRest(idle)),
    'It is awake, and nothing has worked in it for 2 min 0 s. It is paused in 8 min 0 s.',
  );
  const busy = facts({ sample: { ...still, cpuShare: 0.99 } });
  assert.equal(summaryOf(busy, considerRest(busy)), 'It is awake: it uses 99.0 % of a core; more than 2 % counts.');
});

test('costOf() multiplies hours by prices, which are 0 unless configured', () => {
  const usage = { levels: { awake: 3_600_000, frozen: 1_800_000, paused: 7_200_000, stopped: 5 }, cpuMs: 360_000 };
  assert.equal(costOf(usage, noPrices), 0);
  assert.match(wordsOfPrices(noPrices), /everything costs 0/);
  const prices = { currency: 'EUR', hour: { awake: 0.1, frozen: 0.02, paused: 0.001, stopped: 0 }, cpuHour: 1 };
  assert.equal(costOf(usage, prices), 0.212);
  assert.equal(
    wordsOfPrices(prices),
    '0.1 EUR for each hour awake, 0.02 EUR for each hour frozen, 0.001 EUR for each hour paused, 1 EUR for each hour of CPU time; the rest is free.',
  );
});
