import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from './child.ts';
import { type Counts, type Suite, verdict } from './stage.ts';

/** One import that the arrow table forbids for each room; a rule that stays silent here protects nothing. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  'packages/model': '@skerry/kit',
  'packages/kit': '@skerry/model',
  'packages/protocol': '@skerry/kit',
  'packages/store': '@skerry/protocol',
  'packages/backend': '@skerry/store',
  'packages/engine': '@skerry/engine-gvisor',
  'packages/engine-gvisor': '@skerry/store',
  'packages/sdk': '@skerry/model',
  'apps/server': '@skerry/engine-gvisor',
  'apps/host': '@skerry/store',
  'apps/gateway': '@skerry/store',
  'apps/egress': '@skerry/backend',
  'apps/supervisor': '@skerry/engine',
  'apps/cli': '@skerry/protocol',
  tests: '@skerry/store',
  setup: '@skerry/kit',
};

/** Proves that the arrow rules fire: lints a deliberate violation in every room, and expects each to be reported. */
export async function checkArrows(suite: Suite): Promise<Counts> {
  const folders: string[] = [];
  try {
    for (const [room, forbidden] of Object.entries(FORBIDDEN)) {
      const folder = join(suite.repository, room, '.arrow-check');
      folders.push(folder);
      await mkdir(folder, { recursive: true });
      await writeFile(
        join(folder, 'violation.ts'),
        `import * as forbidden from '${forbidden}';\nexport const seen: unknown = forbidden;\n`,
      );
    }
    const args = [
      'node_modules/.bin/oxlint',
      '--format',
      'unix',
      ...folders.map((folder) => join(folder, 'violation.ts')),
    ];
    const end = await runChild(suite, process.execPath, args, { capture: true });
    const silent = Object.keys(FORBIDDEN).filter(
      (room) => !new RegExp(`(^|/)${room}/\\.arrow-check/violation\\.ts:.*no-restricted-imports`, 'm').test(end.stdout),
    );
    for (const room of silent) process.stderr.write(`The arrow rule of "${room}" does not fire: see .oxlintrc.json.\n`);
    return verdict(silent.length === 0);
  } finally {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  }
}
