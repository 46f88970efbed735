import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureArtifacts, ensurePart, PARTS, type SetupOptions } from './ensure-artifacts.ts';
import { SetupFailure } from './setup-failure.ts';

const USAGE = `usage: setup/main.ts [--json] [--only ${PARTS.join('|')}] [--refresh base] [--tests]

Prepares this machine for Skerry: Debian packages, gVisor's runsc, the guest, the base image. What is there is kept.
  --json      print where everything is, as one JSON document on stdout
  --only      prepare one part
  --refresh   build the base image anew, with today's packages
  --tests     also prepare what only the tests need
`;

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string' },
      refresh: { type: 'string' },
      tests: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.refresh !== undefined && values.refresh !== 'base') {
    throw new SetupFailure(
      `Cannot refresh "${values.refresh}".`,
      'Only the base image can be refreshed: --refresh base.',
    );
  }
  const repository = resolve(import.meta.dirname, '..');
  const options: SetupOptions = {
    refreshBase: values.refresh === 'base',
    forTests: values.tests,
    print: (line) => process.stderr.write(`set-up: ${line}\n`),
  };
  if (values.only !== undefined) {
    const part = PARTS.find((name) => name === values.only);
    if (part === undefined)
      throw new SetupFailure(`There is no part "${values.only}".`, `Parts are ${PARTS.join(', ')}.`);
    await ensurePart(repository, part, options);
    return;
  }
  const artifacts = await ensureArtifacts(repository, options);
  if (values.json) process.stdout.write(`${JSON.stringify(artifacts)}\n`);
}

try {
  await main(process.argv.slice(2));
} catch (cause) {
  const failure = cause instanceof Error ? cause : new Error(String(cause));
  process.stderr.write(`set-up failed: ${failure.message}\n`);
  if (failure instanceof SetupFailure) process.stderr.write(`${failure.hint}\n`);
  process.exitCode = 1;
}
