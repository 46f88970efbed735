/** Random sequences of everything that can be done with sandboxes, with kill -9 of a random part at a random instant. */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import type { Instance } from '../e2e/instance.ts';
import { type Strike, victims, World } from './world.ts';

const deeds = [
  'write',
  'remember',
  'pause',
  'resume',
  'stop',
  'snapshot',
  'from',
  'fork',
  'rollback',
  'remove',
] as const;

/** One step: what is done, to which of the things there are, and what is killed meanwhile. */
interface Step {
  readonly deed: (typeof deeds)[number];
  readonly which: number;
  readonly other: number;
  readonly strike: Strike;
}

const strikes = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Strike>({ victim: 'none', afterMs: 0 }) },
  {
    weight: 2,
    arbitrary: fc.record({ victim: fc.constantFrom(...victims.slice(1)), afterMs: fc.integer({ min: 0, max: 700 }) }),
  },
);
const steps: fc.Arbitrary<Step> = fc.record({
  deed: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('write', 'remember') },
    { weight: 3, arbitrary: fc.constantFrom('pause', 'resume') },
    { weight: 3, arbitrary: fc.constantFrom('stop', 'snapshot', 'from', 'fork', 'rollback', 'remove') },
  ) as fc.Arbitrary<Step['deed']>,
  which: fc.nat(20),
  other: fc.nat(20),
  strike: strikes,
});
const mostSandboxes = 4;

/** Seed of this run: `SKERRY_SEED`, or a new one. It is printed, and gives the same sequences again. */
export function seedOf(environment: NodeJS.ProcessEnv): number {
  const given = environment['SKERRY_SEED'];
  return given === undefined ? randomInt(2 ** 31) : Number(given);
}

/** Runs so many sequences against one instance. Throws with the seed and the story of the one that fails; with `shrink`, of the shortest such. */
export async function runSequences(skerry: Instance, count: number, seed: number, shrink: boolean): Promise<void> {
  console.log(`sequences: ${count}, SKERRY_SEED=${seed}`);
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 9 }), async (sequence) => {
      const world = new World(skerry);
      const begunMs = Date.now();
      try {
        await world.create({ victim: 'none', afterMs: 0 });
        for (const step of sequence) await perform(world, step);
        await world.check();
        await world.end();
        console.log(`a sequence of ${world.story.length} calls held in ${Date.now() - begunMs} ms`);
      } catch (error) {
        const story = world.story.map((line) => `  ${line}`).join('\n');
        const why = `After\n${story}\n${error instanceof Error ? error.message : String(error)}`;
        if (shrink) console.log(`${why}\nLooking for a shorter one.`);
        await world.clear();
        throw new Error(why, { cause: error });
      }
    }),
    { numRuns: count, seed, endOnFailure: !shrink },
  );
}

async function perform(world: World, { deed, which, other, strike }: Step): Promise<void> {
  const { sandboxes, snapshots } = world.model;
  const sandbox = sandboxes[which % sandboxes.length];
  const snapshot = snapshots[other % snapshots.length];
  if (sandbox === undefined) return world.create(strike);
  switch (deed) {
    case 'from':
    case 'rollback':
      if (snapshot === undefined) return world.snapshot(sandbox, strike);
      if (deed === 'rollback') return world.rollback(sandbox, snapshot, strike);
      return sandboxes.length < mostSandboxes ? world.from(snapshot, strike) : undefined;
    case 'fork':
      return sandboxes.length < mostSandboxes ? world.fork(sandbox, strike) : undefined;
    default:
      return world[deed](sandbox, strike);
  }
}
