/** Pauses, snapshots, forks and exports by hand: the command line against real sandboxes. What memory itself promises is tested in `memory.test.ts`. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '@skerry/kit';
import { Instance } from './instance.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));
const shape = ['--memory', '256', '--rest-after', 'never'] as const;
let skerry: Instance;
let folder = '';
before(async () => {
  skerry = await Instance.start();
  folder = await mkdtemp('/var/tmp/skerry-pause-');
});
after(async () => {
  for (const child of stay) child.kill('SIGKILL');
  await skerry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function ok(...args: readonly string[]): Promise<string> {
  const result = await skerry.skerry(args);
  assert.equal(result.status, 0, `skerry ${args.join(' ')}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

const stay = new Set<ChildProcess>();

/** A command line that stays. */
class Attached {
  readonly child: ChildProcess;
  readonly end: Promise<number | null>;
  out = '';
  err = '';

  constructor(...args: readonly string[]) {
    this.child = spawn(join(checkout, 'skerry'), args, { env: { ...process.env, SKERRY_DATA: skerry.dataDir } });
    this.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.out += chunk;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.err += chunk;
    });
    this.end = new Promise((resolve) => this.child.once('close', resolve));
    stay.add(this.child);
  }

  async until(wanted: (attached: this) => boolean, what: string): Promise<void> {
    for (let n = 0; n < 600; n++) {
      if (wanted(this)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail(`${what} never came:\n${this.out.slice(-2000)}\n${this.err}\n${await skerry.logs()}`);
  }
}

/** Prints consecutive numbers until a file appears. */
const count = 'n=0; until [ -e /tmp/enough ]; do echo $((n += 1)); sleep 0.02; done; exit 7';
const numbersOf = (text: string): number[] => text.trim().split('\n').map(Number);

test('an exec goes on over a pause and misses no line, and its exit code is the command’s', async () => {
  await ok('create', 'counting', ...shape);
  const exec = new Attached('exec', 'counting', '--', 'bash', '-c', count);
  await exec.until(({ out }) => out.includes('20\n'), 'the 20th line');
  assert.equal(await ok('pause', 'counting'), 'counting\n');
  await exec.until(({ err }) => err.includes('is being paused'), 'the notice');
  assert.match(await ok('ls'), /counting +paused/);
  const read = numbersOf(exec.out).length;
  await ok('resume', 'counting');
  await exec.until(({ out }) => numbersOf(out).length > read + 20, 'more lines');
  assert.match(exec.err, /runs again, after/);
  assert.equal(exec.err.split('is being paused').length, 2, `said once: ${exec.err}`);
  await ok('exec', 'counting', '--', 'touch', '/tmp/enough');
  assert.equal(await exec.end, 7);
  const numbers = numbersOf(exec.out);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
  await ok('rm', 'counting');
});

test('waiting does not wake it, Ctrl-C leaves, attach comes back, and any command resumes it', async () => {
  await ok('create', 'asleep', ...shape);
  const exec = new Attached('exec', 'asleep', '--', 'bash', '-c', count);
  await exec.until(({ out }) => out.includes('5\n'), 'the fifth line');
  const pid = /^(\d+)\s/m.exec(await ok('ps', 'asleep'))?.[1] ?? '';
  await ok('pause', 'asleep');
  await exec.until(({ err }) => err.includes('is being paused'), 'the notice');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  assert.equal((await skerry.get('asleep')).status, 'paused');
  exec.child.kill('SIGINT');
  assert.equal(await exec.end, 130);
  assert.match(exec.err, new RegExp(`skerry attach asleep ${pid}`));
  assert.equal(await ok('exec', 'asleep', '--', 'echo', 'awake'), 'awake\n');
  const again = new Attached('attach', 'asleep', pid);
  const last = numbersOf(exec.out).at(-1) ?? 0;
  await again.until(({ out }) => numbersOf(out).length > 10, 'lines');
  assert.equal(numbersOf(again.out)[0], last + 1, 'it goes on with the next line');
  const detaching = new Attached('exec', 'asleep', '--detach-on-pause', '--', 'sh', '-c', 'echo on; exec sleep 600');
  await detaching.until(({ out }) => out === 'on\n', 'its line');
  await ok('pause', 'asleep');
  assert.equal(await detaching.end, 125);
  assert.match(detaching.err, /sandbox paused/);
  await ok('rm', 'asleep');
  assert.equal(await again.end, 125);
});

test('a shell on a terminal stays open over a pause: Enter resumes it, its size is told again', async () => {
  await ok('create', 'open', ...shape);
  const session = `skerry-pause-${process.pid}`;
  const tmux = (...args: readonly string[]): Promise<string> => runCommand('tmux', ['-L', session, ...args]);
  const screen = async (wanted: RegExp): Promise<void> => {
    let text = '';
    for (let n = 0; n < 200; n++) {
      text = await tmux('capture-pane', '-p', '-t', 'x');
      if (wanted.test(text)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail(`the screen never showed ${wanted}:\n${text}\n${await skerry.logs()}`);
  };
  const command = `cd ${checkout}; SKERRY_DATA=${skerry.dataDir} ./skerry shell open; echo ended with $?; sleep 60`;
  await tmux('new-session', '-d', '-s', 'x', '-x', '100', '-y', '20', command);
  try {
    await screen(/\$ ?$/m);
    await tmux('send-keys', '-t', 'x', 'fruit=apple', 'Enter');
    await ok('pause', 'open');
    await screen(/is being paused.*Enter resumes it/s);
    await tmux('resize-window', '-t', 'x', '-x', '90', '-y', '25');
    await tmux('send-keys', '-t', 'x', 'Enter', '');
    // What is typed ahead waits for it.
    await tmux('send-keys', '-t', 'x', 'echo $fruit; stty size', 'Enter');
    await screen(/runs again, after/);
    await screen(/apple\s+25 90/);
    await tmux('send-keys', '-t', 'x', 'C-d', '');
    await screen(/ended with 0/);
  } finally {
    await tmux('kill-server');
  }
  await ok('rm', 'open');
});

test('down pauses and says so, up brings back, and an exec that was attached goes on', async () => {
  await ok('create', 'through', ...shape);
  await ok('create', 'idle', ...shape);
  await ok('stop', 'idle');
  const exec = new Attached('exec', 'through', '--', 'bash', '-c', count);
  await exec.until(({ out }) => out.includes('10\n'), 'the tenth line');
  const down = await skerry.down();
  assert.equal(down.status, 0, down.stderr);
  assert.match(down.stdout, /^Paused, with their memory: .*\bthrough\b/m);
  assert.doesNotMatch(down.stdout, /idle/);
  const read = numbersOf(exec.out).length;
  await skerry.up();
  await exec.until(({ out }) => numbersOf(out).length > read + 10, 'more lines');
  const numbers = numbersOf(exec.out);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
  assert.equal((await skerry.get('idle')).status, 'stopped');
  await ok('exec', 'through', '--', 'touch', '/tmp/enough');
  assert.equal(await exec.end, 7);
  await ok('rm', 'through', 'idle');
});

test('snapshots, forks, a difference and a rollback, as a person does them', async () => {
  await ok('create', 'trunk', ...shape);
  await ok('exec', 'trunk', '--', 'sh', '-c', 'echo one > one; echo two > two; sync');
  assert.equal(await ok('snapshot', 'create', 'trunk', '--name', 'first'), 'first\n');
  const pid = (await ok('exec', 'trunk', '-d', '--', 'sleep', '1000')).trim();
  await ok('exec', 'trunk', '--', 'sh', '-c', 'rm one; echo more >> two; echo three > three; sync');
  assert.equal(await ok('snapshot', 'create', 'trunk', '--name', 'second', '--disk-only'), 'second\n');
  assert.match(await ok('snapshot', 'tree', 'trunk'), /└─ first .*\n +└─ second /);
  const diff = await ok('diff', 'first', 'second');
  for (const line of [/^\+ .* \/home\/user\/three$/m, /^~ .* \/home\/user\/two$/m, /^- .* \/home\/user\/one$/m])
    assert.match(diff, line);
  const forks = (await ok('fork', 'trunk', '--count', '2')).trim().split('\n');
  assert.equal(new Set(forks).size, 2);
  for (const fork of forks) assert.match(await ok('ps', fork), new RegExp(`^${pid} .*sleep`, 'm'));
  await ok('rollback', 'trunk', 'first');
  assert.equal(await ok('exec', 'trunk', '--', 'sh', '-c', 'ls'), 'one\ntwo\n');
  assert.doesNotMatch(await ok('ps', 'trunk'), /sleep/);
  await ok('create', 'later', '--from', 'second', ...shape);
  assert.equal(await ok('exec', 'later', '--', 'ls'), 'three\ntwo\n');
  await ok('snapshot', 'verify', 'first', 'second');
  await ok('snapshot', 'rm', 'first');
  assert.equal(await ok('exec', 'trunk', '--', 'cat', 'one'), 'one\n', 'what was made from it stays whole');
  await ok('rm', 'trunk', 'later', ...forks);
  await ok('snapshot', 'rm', 'second');
});

test('an export comes back with its memory where that was asked, and a damaged one is refused', async () => {
  await ok('create', 'home', ...shape);
  await ok('exec', 'home', '--', 'sh', '-c', 'echo kept > kept; sync');
  await ok('exec', 'home', '-d', '--', 'sleep', '1000');
  const whole = join(folder, 'home.skerry');
  const files = join(folder, 'files.skerry');
  await ok('export', 'home', whole, '--memory');
  await ok('export', 'home', files);
  assert.equal(await ok('import', whole, 'away'), 'away\n');
  assert.match(await ok('ps', 'away'), /sleep/);
  assert.equal(await ok('import', files, 'bare'), 'bare\n');
  assert.equal(await ok('exec', 'bare', '--', 'cat', 'kept'), 'kept\n');
  assert.doesNotMatch(await ok('ps', 'bare'), /sleep/);
  const bytes = await readFile(whole);
  await writeFile(join(folder, 'half.skerry'), bytes.subarray(0, bytes.length / 2));
  const refused = await skerry.skerry(['import', join(folder, 'half.skerry'), 'half']);
  assert.equal(refused.status, 9, refused.stderr);
  assert.equal((await skerry.skerry(['get', 'half'])).status, 4);
  await ok('rm', 'home', 'away', 'bare');
});

test('activity explains, a hold shows in it, and gc finds nothing', async () => {
  await ok('create', 'explained', '--memory', '256', '--rest-after', '1h');
  const hold = (await ok('hold', 'explained', '--for', '30m', '--reason', 'a demo')).trim();
  const held = await ok('activity', 'explained');
  assert.match(held, /^explained +awake/);
  assert.match(held, new RegExp(`${hold} .*a demo`));
  await ok('release', 'explained');
  let text = '';
  // The host's first sample of what it computes comes within ten seconds.
  for (let n = 0; n < 40 && !/pauses to disk +in /.test(text); n++) {
    text = await ok('activity', 'explained');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.match(text, /pauses to disk +in /);
  await ok('rm', 'explained');
  assert.match((await skerry.skerry(['gc', '--dry-run', '--older-than', '0s'])).stdout, /^Nothing to remove/);
});

test('a database that was lost is made anew from what is on disk', async () => {
  await ok('create', 'survivor', ...shape);
  await ok('exec', 'survivor', '--', 'sh', '-c', 'echo kept > kept; sync');
  await ok('snapshot', 'create', 'survivor', '--name', 'point');
  await ok('pause', 'survivor');
  await skerry.down();
  const present = await skerry.skerry(['recover']);
  assert.equal(present.status, 5);
  assert.match(present.stderr, /--replace/);
  for (const end of ['', '-wal', '-shm']) await rm(join(skerry.dataDir, `server/skerry.db${end}`), { force: true });
  const refused = await skerry.skerry(['up', '--detach']);
  assert.equal(refused.status, 9);
  assert.match(refused.stderr, /skerry recover/);
  const recovered = await ok('recover');
  assert.match(recovered, /survivor/);
  assert.match(recovered, /point/);
  await skerry.up();
  await ok('start', 'survivor');
  assert.equal(await ok('exec', 'survivor', '--', 'cat', 'kept'), 'kept\n');
  await ok('rm', 'survivor');
  await ok('snapshot', 'rm', 'point');
});
