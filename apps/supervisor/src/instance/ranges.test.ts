import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseSubnet, chooseUidBase, ownAddress } from './ranges.ts';

const seeds = fc.nat({ max: 0xffffffff });

test('chooseUidBase() gives four free users whatever is taken', () => {
  fc.assert(
    fc.property(seeds, fc.uniqueArray(fc.integer({ min: 50_000, max: 59_999 })), (seed, accounts) => {
      const base = chooseUidBase(seed, new Set(accounts), []);
      assert.ok(base >= 50_000 && base + 3 <= 59_999);
      for (const offset of [0, 1, 2, 3]) assert.ok(!accounts.includes(base + offset));
      assert.notEqual(chooseUidBase(seed, new Set(accounts), [base]), base);
    }),
  );
});

test('chooseSubnet() never gives two instances the same, and keeps off what is routed', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const first = chooseSubnet(seed, ['192.168.0.0/16', '127.0.0.1']);
      const second = chooseSubnet(seed, [first]);
      assert.match(first, /^10\.20\d\.\d+\.0\/20$/);
      assert.notEqual(first, second);
      const inside = ownAddress(first);
      assert.notEqual(chooseSubnet(seed, [inside]), first);
    }),
  );
});

test('chooseSubnet() says so when everything is taken', () => {
  assert.throws(() => chooseSubnet(1, ['10.0.0.0/8']), { code: 'exhausted' });
});

test('ownAddress() is the first address after the network', () => {
  assert.equal(ownAddress('10.201.16.0/20'), '10.201.16.1');
});
