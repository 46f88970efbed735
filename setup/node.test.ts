import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand, tryCommand } from './run-command.ts';

const SETUP = import.meta.dirname;

test('node.sh runs the script with the pinned Node and passes arguments as they are', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skerry-node-test-'));
  try {
    const script = join(folder, 'print.ts');
    await writeFile(
      script,
      'const seen: string[] = process.argv.slice(2); console.log(JSON.stringify([process.version, ...seen]));\n',
    );
    const told: unknown = JSON.parse(
      await runCommand('sh', [join(SETUP, 'node.sh'), script, 'a b', '$HOME', '--flag', '']),
    );
    assert.deepEqual(told, [process.version, 'a b', '$HOME', '--flag', '']);
    assert.equal((await tryCommand('sh', [join(SETUP, 'node.sh'), '-e', 'process.exit(7)'])).code, 7);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('skerry finds its clone through a link', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skerry-link-test-'));
  try {
    await symlink(join(SETUP, '..', 'skerry'), join(folder, 'skerry'));
    assert.equal((await tryCommand(join(folder, 'skerry'), ['--help'], { cwd: '/' })).code, 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
