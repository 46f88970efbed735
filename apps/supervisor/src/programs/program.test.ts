import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createLog } from '@skerry/kit';
import { Program, type ProgramChange } from './program.ts';
import { lastWordsOf } from './program-log.ts';

const directory = await mkdtemp(join(tmpdir(), 'supervisor-program-'));
after(() => rm(directory, { recursive: true }));

/** A program of a few lines of shell. */
function makeProgram(script: string, onChange: (change: ProgramChange) => void = () => undefined): Program {
  return new Program({
    name: 'fake',
    command: { file: 'sh', args: ['-c', script, 'sh', directory] },
    env: { PATH: process.env['PATH'] },
    logFile: join(directory, 'fake.log'),
    readyWithinMs: 3000,
    firstBackoffMs: 5,
    log: createLog('test', 'error', () => undefined),
    onChange,
  });
}
const serve = `echo '{"ready":true}'; exec sleep 60`;

async function until(holds: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !holds(); n++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}

test('Program.start() resolves when the program says that it is ready, and stop() ends it', async () => {
  const program = makeProgram(`echo starting; ${serve}`);
  await program.start();
  assert.equal(program.state, 'ready');
  const { pid } = program;
  await program.stop(1000);
  assert.equal(program.state, 'stopped');
  assert.throws(() => process.kill(pid ?? 0, 0));
});

test('Program is started again when it dies, and says how it died', async () => {
  const changes: ProgramChange[] = [];
  const program = makeProgram(serve, (change) => changes.push(change));
  await program.start();
  const first = program.pid ?? 0;
  process.kill(first, 'SIGKILL');
  await until(() => changes.some((change) => change.state === 'serves'));
  assert.notEqual(program.pid, first);
  assert.equal(program.restarts, 1);
  assert.match(changes[0]?.state === 'died' ? changes[0].how : '', /SIGKILL/);
  await program.stop(1000);
});

test('Program keeps trying when a restart fails too', async () => {
  const changes: ProgramChange[] = [];
  // It serves once, fails twice, then serves again.
  const script = `n=$(cat "$1/n" 2>/dev/null || echo 0); echo $((n + 1)) >"$1/n"
    case $n in 1 | 2) echo '{"level":"error","message":"No luck"}' >&2; exit 3 ;; esac; ${serve}`;
  const program = makeProgram(script, (change) => changes.push(change));
  await program.start();
  process.kill(program.pid ?? 0, 'SIGKILL');
  await until(() => changes.some((change) => change.state === 'serves'));
  assert.equal((await readFile(join(directory, 'n'), 'utf8')).trim(), '4');
  assert.match(JSON.stringify(changes), /No luck/);
  await program.stop(1000);
});

test('Program.start() says why, when the program ends first', async () => {
  const program = makeProgram(
    `echo '{"level":"error","message":"The store is gone","hint":"Look for it."}' >&2; exit 4`,
  );
  await assert.rejects(program.start(), {
    message: 'The fake ended with status 4: The store is gone',
    hint: 'Look for it.',
  });
});

test('Program.stop() kills a program that does not heed SIGTERM', async () => {
  const program = makeProgram(`trap '' TERM; echo '{"ready":true}'; while :; do sleep 1; done`);
  await program.start();
  const begun = Date.now();
  await program.stop(100);
  assert.ok(Date.now() - begun < 3000);
});

test('lastWordsOf() finds the last error of a log, or a crash, or the last line', () => {
  assert.deepEqual(lastWordsOf('{"level":"error","message":"a"}\n{"level":"info","message":"b"}\n'), { message: 'a' });
  assert.deepEqual(lastWordsOf('{"level":50,"msg":"pino"}'), { message: 'pino' });
  assert.deepEqual(lastWordsOf('{"level":"error","message":"m","error":"inner","hint":"h"}'), {
    message: 'm: inner',
    hint: 'h',
  });
  assert.deepEqual(lastWordsOf('x\nTypeError: no\n    at y\n'), { message: 'TypeError: no' });
  assert.deepEqual(lastWordsOf('just this'), { message: 'just this' });
  assert.equal(lastWordsOf(''), undefined);
});
