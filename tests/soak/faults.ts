/** Host and server killed at every point that one life of a sandbox comes to. */
import { test } from 'node:test';
import { Instance } from '../e2e/instance.ts';
import { faultPoints, surviveKillAt } from '../faults/kill-at-points.ts';

for (const program of ['host', 'server'] as const)
  test(`the ${program} killed between any two steps of a life loses and orphans nothing`, async (t) => {
    await using skerry = await Instance.start({ faults: true });
    for (const point of await faultPoints(program)) await t.test(point, () => surviveKillAt(skerry, point));
  });
