import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runChild } from './suite/child.ts';
import { goStage } from './suite/go-stage.ts';
import { leftoversStage } from './suite/leftovers.ts';
import { programStages } from './suite/named-programs.ts';
import { type Postgres, startPostgres } from './suite/postgres.ts';
import { addCounts, type Counts, NONE, type Stage, type Suite, verdict } from './suite/stage.ts';
import { STATIC_STAGES } from './suite/static-stages.ts';
import { e2e, real, unit } from './suite/test-stages.ts';

const USAGE = `usage: tests/run.ts [--only STAGE[,STAGE…]] [--list]
       tests/run.ts --soak | --bench [NAME…]

Runs the suite, stage by stage; a stage that fails does not keep the next ones from running. "check" stands for the stages that read the code.
`;

interface StageEnd {
  readonly name: string;
  readonly counts: Counts;
  readonly ms: number;
}

const repository = resolve(import.meta.dirname, '..');
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());
const suite: Suite = { repository, signal: interrupted.signal, env: new Map() };

function chooseStages(all: readonly Stage[], only: string): Stage[] {
  const names = new Set(
    only.split(',').flatMap((name) => (name === 'check' ? STATIC_STAGES.map((stage) => stage.name) : [name])),
  );
  const unknown = [...names].find((name) => !all.some((stage) => stage.name === name));
  if (unknown !== undefined) {
    throw new Error(`There is no stage "${unknown}". Stages are check, ${all.map((stage) => stage.name).join(', ')}.`);
  }
  return all.filter((stage) => names.has(stage.name));
}

/** Runs set-up, and hands what the tests need to them. */
async function prepare(): Promise<void> {
  const end = await runChild(suite, process.execPath, ['setup/main.ts', '--tests', '--json'], {
    capture: true,
    timeoutMs: 1_200_000,
  });
  if (end.code !== 0) throw new Error('Set-up failed; what needs it cannot run.');
  const artifacts = JSON.parse(end.stdout) as { python: string };
  suite.env.set('SKERRY_TEST_ARTIFACTS', end.stdout.trim());
  suite.env.set('SKERRY_TEST_PYTHON', artifacts.python);
}

async function timed(name: string, work: () => Promise<Counts>): Promise<StageEnd> {
  process.stdout.write(`\n== ${name}\n`);
  const begun = performance.now();
  const counts = await work().catch((cause: unknown) => {
    process.stderr.write(`${name}: ${cause instanceof Error ? cause.message : String(cause)}\n`);
    return verdict(false);
  });
  const ms = performance.now() - begun;
  process.stdout.write(`== ${name}: ${counts.failed === 0 ? 'ok' : 'FAILED'} in ${(ms / 1000).toFixed(1)} s\n`);
  return { name, counts, ms };
}

async function runStages(stages: readonly Stage[]): Promise<StageEnd[]> {
  const ends: StageEnd[] = [];
  let postgres: Postgres | null = null;
  let ready = true;
  try {
    if (stages.some((stage) => stage.prepared)) {
      const end = await timed('set-up', async () => {
        await prepare();
        postgres = await startPostgres(suite);
        suite.env.set('SKERRY_TEST_POSTGRES', postgres.connectionString);
        return NONE;
      });
      ready = end.counts.failed === 0;
      ends.push(end);
    }
    for (const stage of stages) {
      if (interrupted.signal.aborted) break;
      const run = (): Promise<Counts> =>
        stage.prepared && !ready ? Promise.reject(new Error('not run, because set-up failed')) : stage.run(suite);
      ends.push(await timed(stage.name, run));
    }
  } finally {
    await (postgres as Postgres | null)?.[Symbol.asyncDispose]();
  }
  return ends;
}

function summarize(ends: readonly StageEnd[]): Counts {
  process.stdout.write('\n');
  for (const { name, counts, ms } of ends) {
    const columns = [
      counts.failed + counts.skipped === 0 ? 'ok    ' : 'FAILED',
      name.padEnd(16),
      `${(ms / 1000).toFixed(1)} s`.padStart(9),
      `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`,
    ];
    process.stdout.write(`${columns.join('  ')}\n`);
  }
  return ends.reduce((sum, end) => addCounts(sum, end.counts), NONE);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      list: { type: 'boolean', default: false },
      soak: { type: 'boolean', default: false },
      bench: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const all = [...STATIC_STAGES, unit, goStage, real, e2e, await leftoversStage(suite)];
  if (values.help) {
    process.stdout.write(USAGE);
  } else if (values.list) {
    process.stdout.write(`${all.map((stage) => stage.name).join('\n')}\n`);
  } else {
    let stages = values.only === undefined ? all : chooseStages(all, values.only);
    if (values.soak || values.bench) stages = programStages(repository, values.soak ? 'soak' : 'bench', positionals);
    const total = summarize(await runStages(stages));
    if (interrupted.signal.aborted) process.stdout.write('\nInterrupted.\n');
    process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
    process.exitCode = total.failed + total.skipped === 0 && !interrupted.signal.aborted ? 0 : 1;
  }
}

try {
  await main();
} catch (cause) {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exitCode = 1;
}
