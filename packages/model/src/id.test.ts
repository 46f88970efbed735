import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkName, type IdNoun, idPrefixes, isId, looksLikeId, newId, Problem } from './index.ts';

const nouns = Object.keys(idPrefixes) as IdNoun[];

test('newId() makes a DNS label that is an id of its noun and of no other', () => {
  for (const noun of nouns) {
    const id = newId(noun);
    assert.match(id, /^[a-z0-9]{22}$/);
    assert.deepEqual(
      nouns.filter((other) => isId(other, id)),
      [noun],
    );
  }
});

test('newId() does not repeat itself', () => {
  assert.equal(new Set(Array.from({ length: 10_000 }, () => newId('sandbox'))).size, 10_000);
});

test('checkName() refuses every id and every text that is no DNS label', () => {
  for (const noun of nouns) assert.throws(() => checkName(newId(noun)), Problem);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text) && !looksLikeId(text);
      if (label) assert.equal(checkName(text), text);
      else assert.throws(() => checkName(text), { code: 'invalid', reason: 'invalid_name' });
    }),
  );
});
