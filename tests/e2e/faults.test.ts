import { test } from 'node:test';
import { faultPoints, surviveKillAt } from '../faults/kill-at-points.ts';
import { seedOf } from '../sequences/run.ts';
import { Instance } from './instance.ts';

/** `npm test` kills at one point in three; `npm run soak faults` at all. */
const slice = 3;

for (const program of ['host', 'server'] as const)
  test(`the ${program} killed between two steps of a life of pauses, snapshots, stops and starts loses and orphans nothing`, async (t) => {
    await using skerry = await Instance.start({ faults: true });
    const seed = seedOf(process.env);
    console.log(`${program}: SKERRY_SEED=${seed}`);
    const points = (await faultPoints(program)).filter((_, index) => index % slice === seed % slice);
    for (const point of points) await t.test(point, () => surviveKillAt(skerry, point));
  });
