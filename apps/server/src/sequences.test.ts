/**
 * Random sequences of what people do, with faults of the host and restarts of the server between and within, against a small model of what was
 * acknowledged: nothing of that is ever lost or mixed up, nothing is orphaned, and every sandbox has a defined status.
 */
import { test } from 'node:test';
import { Problem } from '@skerry/model';
import fc from 'fast-check';
import { type Answer, TestInstance } from './testing/instance.ts';
import { checkWorld, type ModelSandbox, type ModelSnapshot, type Trouble, World } from './testing/sequence-model.ts';

const runs = process.env['SKERRY_SOAK'] === '1' ? 1000 : 40;
const seed = Number(process.env['SKERRY_SEED'] ?? 20_261_125);

const verbs = [
  ...['create', 'write', 'pause', 'pause', 'resume', 'resume', 'pauseDisk', 'stop', 'start', 'delete'],
  ...['snapshot', 'snapshot', 'from', 'fork', 'rollback', 'dropSnapshot', 'crash', 'machine', 'restart'],
] as const;
const troubles: readonly Trouble[] = [
  'none',
  'none',
  'none',
  'restart',
  'before',
  'after',
  'full',
  'noRoom',
  'damaged',
];
type Verb = (typeof verbs)[number];

interface Step {
  readonly verb: Verb;
  /** Which of the sandboxes, and of the snapshots, there are. */
  readonly which: number;
  readonly from: number;
  readonly trouble: Trouble;
  /** Which call of the host goes wrong, or when the server is restarted. */
  readonly at: number;
}

const steps = fc.array(
  fc.record<Step>({
    verb: fc.constantFrom(...verbs),
    which: fc.nat(3),
    from: fc.nat(3),
    trouble: fc.constantFrom(...troubles),
    at: fc.nat(5),
  }),
  { minLength: 1, maxLength: 40, size: 'max' },
);

const full = new Problem('exhausted', 'The disk is full', { reason: 'host_disk_full', exhaustion: 'disk' });
const noRoom = new Problem('exhausted', 'No room', { reason: 'host_full', exhaustion: 'capacity' });

/** Lets something go wrong during the next call. Faults that are passed by later are taken back before the next one. */
function arm({ backend }: TestInstance, { trouble, at }: Step): void {
  backend.faults.clear();
  backend.restoreFailure = trouble === 'damaged' ? 'damaged' : undefined;
  if (trouble === 'before' || trouble === 'after')
    backend.faults.inject({ call: 'any', when: trouble, skip: at, times: 2 });
  if (trouble === 'full') backend.faults.inject({ call: 'createSnapshot', when: 'before', problem: full });
  if (trouble === 'noRoom') backend.faults.inject({ call: 'startBoot', when: 'before', problem: noRoom });
}

let keys = 0;

/** Calls the API; when the server is restarted on the way, repeats the call with the same key, as a client does. */
async function call(skerry: TestInstance, step: Step, method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { 'idempotency-key': `k${keys++}` };
  const first = skerry.api(method, path, body, headers).catch(() => undefined);
  if (step.trouble === 'restart') {
    for (let turns = 0; turns < step.at * 4; turns++) await new Promise((resolve) => setImmediate(resolve));
    await skerry.down();
    await skerry.up();
  }
  const answer = await first;
  if (answer !== undefined && answer.status !== 202 && answer.body['reason'] !== 'superseded') return answer;
  if (method === 'POST') return skerry.api(method, path, body, headers);
  const again = await skerry.api(method, path, body);
  return again;
}

async function perform(skerry: TestInstance, world: World, step: Step): Promise<void> {
  const { verb } = step;
  const live = world.sandboxes;
  const one = live[step.which % Math.max(1, live.length)];
  const snapshot = world.snapshots[step.from % Math.max(1, world.snapshots.length)];
  // What nobody asked for has no caller who could be told what went wrong with it.
  if (!['restart', 'machine', 'crash', 'write'].includes(verb)) arm(skerry, step);
  if (verb === 'restart') {
    await skerry.down();
    await skerry.up();
  } else if (verb === 'machine') {
    skerry.backend.restartMachine();
    for (const each of live) each.lostBoot();
  } else if (verb === 'create') {
    if (live.length < 6) {
      const answer = await call(skerry, step, 'POST', '/v1/sandboxes', {});
      await world.create(skerry, answer, undefined, step.trouble);
    }
  } else if (verb === 'from') {
    if (snapshot === undefined || live.length >= 6) return;
    const answer = await call(skerry, step, 'POST', '/v1/sandboxes', { from: snapshot.id });
    await world.create(skerry, answer, snapshot, step.trouble);
  } else if (verb === 'dropSnapshot') {
    if (snapshot !== undefined)
      world.dropped(snapshot, await call(skerry, step, 'DELETE', `/v1/snapshots/${snapshot.id}`));
  } else if (one !== undefined) {
    await performOn(skerry, world, step, one, snapshot);
  }
}

async function performOn(
  skerry: TestInstance,
  world: World,
  step: Step,
  one: ModelSandbox,
  snapshot: ModelSnapshot | undefined,
): Promise<void> {
  const act = (verb: string, body: unknown = {}): Promise<Answer> =>
    call(skerry, step, 'POST', `/v1/sandboxes/${one.id}/${verb}`, body);
  switch (step.verb) {
    case 'write':
      return one.write(skerry.backend, world.nextValue());
    case 'pause':
      return one.paused(await act('pause'), true);
    case 'pauseDisk':
      return one.paused(await act('pause', { memory: false }), false);
    case 'resume':
      return one.started(await act('resume'), step.trouble);
    case 'start':
      return one.started(await act('start'), step.trouble);
    case 'stop':
      return one.stopped(await act('stop'));
    case 'delete':
      return world.deleted(one, await call(skerry, step, 'DELETE', `/v1/sandboxes/${one.id}`));
    case 'snapshot':
      return world.snapshotted(one, await act('snapshots'), step.trouble);
    case 'fork':
      if (world.sandboxes.length < 6) world.forked(one, await act('fork', { count: 2 }), step.trouble);
      return;
    case 'rollback':
      if (snapshot !== undefined)
        one.rolledBack(await act('rollback', { snapshot: snapshot.id }), snapshot, step.trouble);
      return;
    default:
      return one.crash(skerry.backend);
  }
}

test('random sequences: nothing acknowledged is lost, nothing is orphaned, every status is defined', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      await using skerry = await TestInstance.start();
      const world = new World();
      for (const verb of ['create', 'write', 'snapshot', 'create'] as const)
        await perform(skerry, world, { verb, which: 0, from: 0, trouble: 'none', at: 0 });
      for (const step of sequence) {
        await perform(skerry, world, step);
        skerry.backend.faults.clear();
        skerry.backend.restoreFailure = undefined;
        await skerry.calm();
        await checkWorld(skerry, world);
      }
    }),
    { numRuns: runs, seed },
  );
});
