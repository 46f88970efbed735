/** 200 rounds of pause and resume beside a twin, and 20 forks at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Instance } from '../e2e/instance.ts';
import { compareForks } from '../memory/forks.ts';
import { compareTwins } from '../memory/twins.ts';

test('200 rounds of pause and resume', async () => {
  await using skerry = await Instance.start();
  const grown = await compareTwins(skerry, Number(process.env['SKERRY_ROUNDS'] ?? 200));
  console.log(`resident memory of host, server and gateway grew by ${grown.toFixed(1)} MiB`);
  assert.ok(grown < 100, `${grown} MiB`);
});

test('20 forks at once', async () => {
  await using skerry = await Instance.start();
  await compareForks(skerry, 20);
});
