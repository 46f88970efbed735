import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand } from '@skerry/kit';
import { Instance } from './instance.ts';

let skerry: Instance;
before(async () => {
  skerry = await Instance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

async function ok(...args: readonly string[]): Promise<string> {
  const result = await skerry.skerry(args);
  assert.equal(result.status, 0, `skerry ${args.join(' ')}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

test('a sandbox is made, used and deleted by hand', async () => {
  assert.equal(await ok('create', 'hand', '--memory', '512MiB', '--env', 'COLOUR=blue', '--label', 'team=a'), 'hand\n');
  assert.equal(await ok('exec', 'hand', '--', 'sh', '-c', 'echo $COLOUR; whoami; pwd'), 'blue\nuser\n/home/user\n');
  assert.equal((await skerry.skerry(['exec', 'hand', '--', 'sh', '-c', 'exit 9'])).status, 9);
  assert.equal((await skerry.skerry(['exec', 'hand', '--', 'sh', '-c', 'kill -9 $$'])).status, 137);
  assert.equal((await skerry.skerry(['exec', 'hand', '--timeout', '1s', '--', 'sleep', '30'])).status, 124);
  assert.equal(
    (await skerry.skerry(['exec', 'hand', '-i', '--', 'md5sum'], { input: 'x\n' })).stdout.slice(0, 32),
    '401b30e3b8b5d629635a5c613cdb7919',
  );
  assert.match(await ok('ls'), /hand\s+.*running/);
  assert.equal(
    (JSON.parse(await ok('get', 'hand', '--json')) as { labels: Record<string, string> }).labels['team'],
    'a',
  );
  const pid = (await ok('exec', 'hand', '-d', '--', 'sleep', '600')).trim();
  assert.match(await ok('ps', 'hand'), new RegExp(`${pid}\\s+.*sleep`));
  await ok('kill', 'hand', pid);
  await ok('stop', 'hand');
  const stopped = await skerry.skerry(['exec', 'hand', '--', 'true']);
  assert.notEqual(stopped.status, 0);
  assert.match(stopped.stderr, /skerry start hand/);
  await ok('start', 'hand');
  assert.match(await ok('events', 'hand'), /sandbox\.(stopped|running)/);
  await ok('logs', 'hand');
  await ok('rm', 'hand');
  const gone = await skerry.skerry(['get', 'hand']);
  assert.equal(gone.status, 4);
  assert.match(gone.stderr, /hand/);
});

test('cp carries files and folders both ways, with modes, times and links', async () => {
  const directory = await mkdtemp('/var/tmp/skerry-cp-');
  try {
    await ok('create', 'copy', '--memory', '512');
    await mkdir(join(directory, 'tree/inner'), { recursive: true });
    await writeFile(join(directory, 'tree/inner/bytes'), Buffer.from([0, 10, 13, 255]));
    await writeFile(join(directory, 'tree/run'), '#!/bin/sh\n');
    await chmod(join(directory, 'tree/run'), 0o755);
    await symlink('run', join(directory, 'tree/link'));
    await ok('cp', join(directory, 'tree'), 'copy:/home/user/there');
    await ok('cp', 'copy:/home/user/there', join(directory, 'back'));
    assert.deepEqual([...(await readFile(join(directory, 'back/inner/bytes')))], [0, 10, 13, 255]);
    assert.equal((await stat(join(directory, 'back/run'))).mode & 0o777, 0o755);
    assert.equal(await readlink(join(directory, 'back/link')), 'run');
    const piped = await skerry.skerry(['cp', '-', 'copy:/home/user/piped'], { input: 'through a pipe' });
    assert.equal(piped.status, 0, piped.stderr);
    assert.equal(await ok('cp', 'copy:/home/user/piped', '-'), 'through a pipe');
    const missing = await skerry.skerry(['cp', 'copy:/no/such', join(directory, 'x')]);
    assert.equal(missing.status, 4, missing.stderr);
    assert.match(missing.stderr, /\/no\/such/);
    await ok('rm', 'copy');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('shell is a terminal: it resizes, ^C and ^D work, and its exit code is the shell’s', async () => {
  await ok('create', 'term', '--memory', '512');
  const session = `skerry-e2e-${process.pid}`;
  const tmux = (...args: readonly string[]): Promise<string> => runCommand('tmux', ['-L', session, ...args]);
  const screen = async (wanted: RegExp): Promise<string> => {
    let text = '';
    for (let n = 0; n < 100; n++) {
      text = await tmux('capture-pane', '-p', '-t', 'x');
      if (wanted.test(text)) return text;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return assert.fail(`the screen never showed ${wanted}:\n${text}`);
  };
  await tmux(
    'new-session',
    '-d',
    '-s',
    'x',
    '-x',
    '90',
    '-y',
    '20',
    `SKERRY_DATA=${skerry.dataDir} ./skerry shell term; echo ended with $?; sleep 60`,
  );
  try {
    await screen(/\$ ?$/m);
    await tmux('send-keys', '-t', 'x', 'stty size', 'Enter');
    await screen(/20 90/);
    await tmux('resize-window', '-t', 'x', '-x', '100', '-y', '25');
    await tmux('send-keys', '-t', 'x', 'stty size', 'Enter');
    await screen(/25 100/);
    await tmux('send-keys', '-t', 'x', 'sleep 100', 'Enter');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await tmux('send-keys', '-t', 'x', 'C-c', '');
    await tmux('send-keys', '-t', 'x', 'echo after=$?', 'Enter');
    await screen(/after=130/);
    await tmux('send-keys', '-t', 'x', 'tput colors; (exit 6)', 'Enter');
    await screen(/^(8|256)$/m);
    await tmux('send-keys', '-t', 'x', 'C-d', '');
    await screen(/ended with 6/);
  } finally {
    await tmux('kill-server');
  }
  await ok('rm', 'term');
});

test('errors say what, why and what to do, and wrong usage is code 2', async () => {
  const wrong = await skerry.skerry(['create', 'UPPER']);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /UPPER/);
  assert.equal((await skerry.skerry(['no-such-command'])).status, 2);
  assert.equal((await skerry.skerry(['exec', 'no-such-sandbox', '--', 'true'])).status, 4);
  const json = await skerry.skerry(['get', 'no-such-sandbox', '--json']);
  assert.equal((JSON.parse(json.stderr || json.stdout) as { code: string }).code, 'not_found');
});

test('keys are made, listed, used from anywhere and revoked', async () => {
  assert.equal((await ok('key')).trim(), skerry.key);
  const key = JSON.parse(await ok('key', 'create', 'ci', '--role', 'member', '--json')) as { id: string; key: string };
  const away = { SKERRY_URL: skerry.url, SKERRY_API_KEY: key.key };
  assert.equal((await skerry.skerry(['ls'], { env: away })).status, 0);
  assert.match(await ok('key', 'ls'), /ci/);
  await ok('key', 'revoke', key.id);
  assert.equal((await skerry.skerry(['ls'], { env: away })).status, 3);
});

test('doctor and status say how the machine and the instance are', async () => {
  const doctor = await skerry.skerry(['doctor', '--json']);
  assert.equal(doctor.status, 0, doctor.stdout + doctor.stderr);
  assert.match(await ok('status'), /running|ready/i);
});
