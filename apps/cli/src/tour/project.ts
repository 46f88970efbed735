/** The project that the tour works on: a small library with a real dependency and real tests. */
export const projectFiles: Readonly<Record<string, string>> = {
  'package.json': `{
  "name": "ledger",
  "version": "1.0.0",
  "type": "module",
  "scripts": { "test": "node --test" },
  "dependencies": { "decimal.js": "10.6.0" }
}
`,
  'ledger.js': `import { Decimal } from 'decimal.js';

/** Adds up entries such as { account: 'rent', amount: '12.30' }, exactly. */
export function balance(entries) {
  const totals = new Map();
  for (const { account, amount } of entries)
    totals.set(account, (totals.get(account) ?? new Decimal(0)).plus(amount));
  return new Map([...totals].map(([account, total]) => [account, total.toFixed(2)]));
}
`,
  'ledger.test.js': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balance } from './ledger.js';

test('cents add up exactly', () => {
  const entries = Array.from({ length: 10 }, () => ({ account: 'coffee', amount: '0.10' }));
  assert.equal(balance(entries).get('coffee'), '1.00');
});

test('accounts are kept apart', () => {
  const totals = balance([{ account: 'a', amount: '1' }, { account: 'b', amount: '-2.5' }]);
  assert.deepEqual([...totals], [['a', '1.00'], ['b', '-2.50']]);
});
`,
  '.gitignore': 'node_modules/\n',
};
