import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import {
  Backoff,
  createLog,
  errorFields,
  formatBytes,
  formatDuration,
  KeyedSerial,
  parseDurationMs,
  parseSizeMiB,
  readFileIfExists,
  runCommand,
  tryCommand,
  writeFileAtomic,
} from './index.ts';

test('KeyedSerial.run() runs one at a time for a key, and goes on after a failure', async () => {
  const serial = new KeyedSerial<string>();
  const seen: string[] = [];
  const work = (name: string) => async (): Promise<void> => {
    seen.push(`+${name}`);
    await sleep(2);
    seen.push(`-${name}`);
    if (name === 'b') throw new Error('b');
  };
  const results = await Promise.allSettled([
    serial.run('k', work('a')),
    serial.run('k', work('b')),
    serial.run('k', work('c')),
  ]);
  assert.deepEqual(seen, ['+a', '-a', '+b', '-b', '+c', '-c']);
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.ok(!serial.busy('k'));
});

test('writeFileAtomic() replaces the file whole, with its mode, and leaves nothing else', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kit-'));
  try {
    const path = join(directory, 'file');
    await writeFileAtomic(path, 'one');
    await writeFileAtomic(path, 'two', 0o644);
    assert.equal(await readFile(path, 'utf8'), 'two');
    assert.equal((await stat(path)).mode & 0o777, 0o644);
    assert.deepEqual(await readdir(directory), ['file']);
    assert.equal(await readFileIfExists(join(directory, 'none')), undefined);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('runCommand() throws with the command, its status and its last words', async () => {
  assert.equal(await runCommand('cat', [], { input: 'in' }), 'in');
  await assert.rejects(runCommand('sh', ['-c', 'echo bad >&2; exit 3']), /"sh -c .*" ended with 3: bad/);
  await assert.rejects(runCommand('no-such-program-here', []), { code: 'ENOENT' });
});

test('tryCommand() kills what exceeds its deadline or is aborted', async () => {
  const late = await tryCommand('sleep', ['60'], { deadlineMs: 30 });
  assert.deepEqual([late.timedOut, late.signal], [true, 'SIGKILL']);
  await assert.rejects(tryCommand('sleep', ['60'], { signal: AbortSignal.timeout(30) }), { name: 'TimeoutError' });
});

test('parseDurationMs() reads what people write and nothing else', () => {
  const cases: Record<string, number | undefined> = {
    '90s': 90_000,
    '1h30m': 5_400_000,
    '250ms': 250,
    '0.5s': 500,
    '2d': 172_800_000,
    '5': undefined,
    '': undefined,
    '-1s': undefined,
    '1 s': undefined,
  };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDurationMs(text), ms, text);
});

test('parseSizeMiB() reads sizes and rounds up to whole MiB', () => {
  const cases: Record<string, number | undefined> = {
    '1GiB': 1024,
    '512': 512,
    '512MiB': 512,
    '1.5G': 1536,
    '1KiB': 1,
    '1TB': undefined,
    x: undefined,
  };
  for (const [text, size] of Object.entries(cases)) assert.equal(parseSizeMiB(text), size, text);
});

test('parsers of units never throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseDurationMs(text);
      parseSizeMiB(text);
    }),
  );
});

test('formatDuration() and formatBytes() are short', () => {
  assert.deepEqual([5, 12_340, 250_000, 12_000_000, 200_000_000].map(formatDuration), [
    '5 ms',
    '12.3 s',
    '4 min 10 s',
    '3 h 20 min',
    '2 d 7 h',
  ]);
  assert.deepEqual([512, 1_500_000].map(formatBytes), ['512 B', '1.4 MiB']);
});

test('Backoff.next() doubles up to its most, and begins again after reset()', () => {
  const backoff = new Backoff(100, 400);
  const waits = [backoff.next(), backoff.next(), backoff.next(), backoff.next()];
  for (const [index, most] of [100, 200, 400, 400].entries()) {
    const wait = waits[index] ?? 0;
    assert.ok(wait <= most && wait >= most * 0.75, `${wait} for ${most}`);
  }
  backoff.reset();
  assert.ok(backoff.next() <= 100);
});

test('createLog() writes one JSON line an event, from its level up, with causes', () => {
  const lines: string[] = [];
  const log = createLog('kit', 'info', (line) => lines.push(line)).with({ id: 'x' });
  log.debug('hidden');
  log.error('Broke', errorFields(new Error('outer', { cause: new Error('inner') })));
  assert.equal(lines.length, 1);
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.deepEqual([line['level'], line['id'], line['error']], ['error', 'x', 'outer']);
  assert.equal((line['cause'] as Record<string, unknown>)['error'], 'inner');
});

test('faultPoint() kills the process once, and only at the point that the file names', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kit-'));
  try {
    const file = join(directory, 'fault');
    const module = new URL('./fault-point.ts', import.meta.url).pathname;
    const script = `const { faultPoint } = await import(${JSON.stringify(module)}); faultPoint('a.one'); faultPoint('a.two'); console.log('alive');`;
    const run = () =>
      tryCommand(process.execPath, ['--input-type=module', '-e', script], {
        env: { ...process.env, SKERRY_FAULT_FILE: file },
      });
    assert.equal((await run()).stdout, 'alive\n');
    await writeFileAtomic(file, 'a.two\n');
    assert.equal((await run()).signal, 'SIGKILL');
    assert.equal((await run()).stdout, 'alive\n');
  } finally {
    await rm(directory, { recursive: true });
  }
});
