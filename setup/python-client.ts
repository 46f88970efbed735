import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { contentKey, exists, makeOpenFolder } from './cache.ts';
import { runCommand } from './run-command.ts';
import type { Stage } from './stage.ts';

const DEBIAN_PYTHON = '/usr/bin/python3';

/** A virtual environment with the Python clients that the tests drive; resolves to its interpreter. */
export async function pythonClientStage(cache: string, repository: string): Promise<Stage<string>> {
  const requirements = join(repository, 'tests', 'e2e', 'python', 'requirements.txt');
  const version = (await runCommand(DEBIAN_PYTHON, ['--version']).catch(() => '')).trim();
  const key = contentKey({ requirements: await readFile(requirements), version }).slice(0, 32);
  const target = join(cache, 'venv', key);
  const interpreter = join(target, 'bin', 'python3');
  return {
    name: 'python client',
    does: 'making a virtual environment with the pinned Python client, for the tests',
    async find() {
      return version !== '' && (await exists(join(target, 'complete'))) ? interpreter : null;
    },
    async build() {
      await makeOpenFolder(join(cache, 'venv'));
      // A virtual environment cannot be moved: it is made in place, and the marker comes last.
      await rm(target, { recursive: true, force: true });
      await runCommand(DEBIAN_PYTHON, ['-m', 'venv', target]);
      await runCommand(interpreter, [
        '-m',
        'pip',
        'install',
        '--quiet',
        '--require-hashes',
        '--only-binary',
        ':all:',
        '-r',
        requirements,
      ]);
      await runCommand('touch', [join(target, 'complete.new')]);
      await rename(join(target, 'complete.new'), join(target, 'complete'));
      return interpreter;
    },
  };
}
