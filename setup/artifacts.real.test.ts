import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Artifacts, ImageManifest } from './artifacts.ts';
import { pack } from './base-image.ts';
import { runCommand, tryCommand } from './run-command.ts';

const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];

async function artifacts(): Promise<{ found: Artifacts; said: string }> {
  const run = await tryCommand(process.execPath, [join(import.meta.dirname, 'main.ts'), '--json']);
  assert.equal(run.code, 0, run.stderr);
  return { found: JSON.parse(run.stdout) as Artifacts, said: run.stderr };
}

test('main.ts --json is silent and changes nothing when everything is there', async () => {
  const first = await artifacts();
  const second = await artifacts();
  assert.equal(second.said, '');
  assert.ok(second.found.timings.every((timing) => timing.cached));
  assert.deepEqual({ ...second.found, timings: [] }, { ...first.found, timings: [] });
});

test('runsc and the guest say the version that is recorded, and anybody may run them', async () => {
  const { found } = await artifacts();
  const runsc = await runCommand('setpriv', [...NOBODY, found.runsc.path, '--version']);
  assert.match(runsc, new RegExp(`version ${found.runsc.version}\\b`));
  const guest = await runCommand('setpriv', [...NOBODY, found.guest.path, '--version']);
  assert.ok(guest.includes(found.guest.version), guest);
  assert.ok(found.guest.path.includes(found.guest.sha256));
});

test('the base image holds what its recipe promises', async () => {
  const { found } = await artifacts();
  const [image] = found.images;
  assert.ok(image);
  const manifest = JSON.parse(await readFile(image.manifest, 'utf8')) as ImageManifest;
  assert.equal(manifest.key, image.key);
  assert.equal(manifest.config.user, 'user');
  const args = ['--use-compress-program=zstd', '--numeric-owner', '-tvf', image.archive];
  const lines = (await runCommand('tar', args)).split('\n');
  const entry = (path: string): string =>
    lines.find((line) => line.endsWith(` ${path}`) || line.includes(` ${path} ->`)) ?? '';
  assert.match(entry('./home/user/'), /^drwxr-xr-x 1000\/1000/);
  assert.match(entry('./usr/bin/sudo'), /^-rwsr-xr-x 0\/0/);
  assert.match(entry('./etc/sudoers.d/user'), /^-r--r----- 0\/0/);
  for (const path of ['bin/node', 'bin/npm', 'bin/npx', 'bin/corepack', 'etc/npmrc']) {
    assert.notEqual(entry(`./usr/local/${path}`), '', path);
  }
  for (const path of [
    'python3',
    'pip',
    'git',
    'curl',
    'gcc',
    'make',
    'ps',
    'tput',
    'jq',
    'zstd',
    'ssh',
    'nano',
    'unzip',
  ]) {
    assert.notEqual(entry(`./usr/bin/${path}`), '', path);
  }
  assert.ok(!lines.some((line) => line.includes('EXTERNALLY-MANAGED')));
  assert.ok(!lines.some((line) => / \.\/(dev|proc|sys|run|tmp)\/./.test(line)));
  assert.ok(!lines.some((line) => / \.\/var\/lib\/apt\/lists\/.*_Packages/.test(line)));
  assert.ok(Math.abs(lines.length - manifest.files) < manifest.files / 10);
});

test('pack() keeps owners, modes, extended attributes and file capabilities', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skerry-pack-test-'));
  try {
    const [tree, back] = [join(folder, 'tree'), join(folder, 'back')];
    await mkdir(tree);
    await mkdir(back);
    await writeFile(join(tree, 'file'), 'x');
    const file = join(tree, 'file');
    await runCommand('chown', ['1234:4321', file]);
    await runCommand('chmod', ['4750', file]);
    await runCommand('setfattr', ['-n', 'user.note', '-v', 'kept', file]);
    await runCommand('setfattr', [
      '-n',
      'security.capability',
      '-v',
      '0x0100000200200000000000000000000000000000',
      file,
    ]);
    const archive = join(folder, 'tree.tar.zst');
    await pack(tree, archive);
    const unpack = [
      '--use-compress-program=zstd',
      '--numeric-owner',
      '--xattrs',
      '--xattrs-include=*',
      '-xpf',
      archive,
    ];
    await runCommand('tar', [...unpack, '-C', back]);
    assert.equal((await runCommand('stat', ['-c', '%u:%g %a', join(back, 'file')])).trim(), '1234:4321 4750');
    const seen = await runCommand('getfattr', ['-d', '-m', '-', '-e', 'hex', '--absolute-names', join(back, 'file')]);
    assert.match(seen, /security\.capability=0x0100000200200000/);
    assert.match(seen, /user\.note=0x6b657074/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
