/** 300 random sequences under kill -9 of random parts; `SKERRY_SEED` repeats a run, `SKERRY_SEQUENCES` changes the count. */
import { test } from 'node:test';
import { Instance } from '../e2e/instance.ts';
import { runSequences, seedOf } from '../sequences/run.ts';

test('random sequences under kill -9 lose and mix up nothing, and leave nothing', async () => {
  await using skerry = await Instance.start();
  await runSequences(skerry, Number(process.env['SKERRY_SEQUENCES'] ?? 300), seedOf(process.env), true);
});
