import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { runChild } from './child.ts';
import { type Stage, verdict } from './stage.ts';

const HOURS_MS = 4 * 3_600_000;

/** One stage for each program in tests/soak or tests/bench and each room's `*.soak.test.ts` or `*.bench.test.ts`; with names, only those. A program fails by its exit code. */
export function programStages(repository: string, folder: 'soak' | 'bench', names: readonly string[]): Stage[] {
  const patterns = [`tests/${folder}/*.ts`, `{apps,packages}/*/src/**/*.${folder}.test.ts`];
  const files = globSync(patterns, { cwd: repository }).sort();
  const known = new Map(files.map((file) => [basename(file, '.ts').replace(/\.test$/, ''), file]));
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new Error(
      `There is no ${folder} program "${unknown}": there is ${[...known.keys()].join(', ') || 'nothing'}.`,
    );
  }
  const chosen = names.length === 0 ? [...known.keys()] : names;
  return chosen.map((name) => ({
    name: `${folder} ${name}`,
    prepared: true,
    async run(suite) {
      const file = known.get(name) ?? '';
      const args = file.endsWith('.test.ts') ? ['--test', file] : [file];
      return verdict((await runChild(suite, process.execPath, args, { timeoutMs: HOURS_MS })).code === 0);
    },
  }));
}
