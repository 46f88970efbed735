import { test } from 'node:test';
import { runSequences, seedOf } from '../sequences/run.ts';
import { Instance } from './instance.ts';

test('random sequences under kill -9 lose and mix up nothing, and leave nothing', async () => {
  await using skerry = await Instance.start();
  await runSequences(skerry, 3, seedOf(process.env), false);
});
