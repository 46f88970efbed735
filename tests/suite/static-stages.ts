import { globSync } from 'node:fs';
import { join } from 'node:path';
import { checkArrows } from './arrows.ts';
import { runChild } from './child.ts';
import { addCounts, type Counts, type Stage, type Suite, verdict } from './stage.ts';

/** A tool from node_modules, run by our own Node; its exit code is the verdict. */
async function tool(suite: Suite, path: string, ...args: string[]): Promise<Counts> {
  const end = await runChild(suite, process.execPath, [join(suite.repository, 'node_modules', path), ...args]);
  return verdict(end.code === 0);
}

/** Every shell program of the repository. */
async function lintShell(suite: Suite): Promise<Counts> {
  const files = globSync(['skerry', '.ci/run', 'setup/**/*.sh', 'guest/**/*.sh', 'tests/**/*.sh'], {
    cwd: suite.repository,
  });
  return verdict((await runChild(suite, 'shellcheck', files.sort())).code === 0);
}

const format: Stage = {
  name: 'format',
  prepared: false,
  run: (suite) => tool(suite, '@biomejs/biome/bin/biome', 'format', '.'),
};

const lint: Stage = {
  name: 'lint',
  prepared: false,
  async run(suite) {
    const code = await tool(suite, '.bin/oxlint', '--deny-warnings', '.');
    return addCounts(addCounts(code, await checkArrows(suite)), await lintShell(suite));
  },
};

const types: Stage = {
  name: 'types',
  prepared: false,
  run: (suite) => tool(suite, '.bin/tsc', '-p', 'tsconfig.json'),
};

const deadCode: Stage = {
  name: 'dead code',
  prepared: false,
  async run(suite) {
    // Strict looks at what is shipped, and at undeclared imports between rooms; the second look finds dead test code.
    const shipped = await tool(suite, '.bin/knip', '--strict', '--no-progress', '--no-config-hints');
    return addCounts(shipped, await tool(suite, '.bin/knip', '--no-progress', '--no-config-hints'));
  },
};

export const STATIC_STAGES: readonly Stage[] = [format, lint, types, deadCode];
