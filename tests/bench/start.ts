/** A second start of an instance: `up` until it answers, beside a Node that does nothing. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';
import { Instance } from '../e2e/instance.ts';
import { Figures, report } from './common/figures.ts';

const rounds = Number(process.env['SKERRY_BENCH_ROUNDS'] ?? 10);
const reference = 'node -e 0';
const figures = new Figures();
await using skerry = await Instance.start();

for (let round = 0; round < rounds; round++) {
  await figures.time('down', () => skerry.down());
  await figures.time(reference, () => runCommand(process.execPath, ['-e', '0']));
  await figures.time('up', () => skerry.up());
}
await report(
  figures.rows([[reference], ['up', reference], ['down', reference]]),
  join(tmpdir(), 'skerry-bench-start.json'),
);
