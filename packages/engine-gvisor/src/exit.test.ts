import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Evidence, judgeExit } from './exit.ts';

const quiet: Evidence = {
  requested: false,
  attended: true,
  goferLost: false,
  hits: { outOfMemory: 0, outOfProcesses: 0 },
  panic: '',
};
const oom = { outOfMemory: 1, outOfProcesses: 0 };

const cases: Record<string, [Partial<Evidence>, string, (number | undefined)?, number?]> = {
  'PID 1 returned': [{ waitStatus: 3 << 8 }, 'exited', 3],
  'PID 1 returned, after a child ran out of memory': [{ waitStatus: 0, hits: oom }, 'exited', 0],
  'PID 1 was killed inside': [{ waitStatus: 9 }, 'killed', undefined, 9],
  'PID 1 was ended by SIGTERM, after a child ran out of memory': [
    { waitStatus: 15, hits: oom },
    'killed',
    undefined,
    15,
  ],
  'PID 1 ran out of memory': [{ waitStatus: 9, hits: oom }, 'out_of_memory'],
  'the sentry ran out of memory': [{ hits: oom }, 'out_of_memory'],
  'the sentry met the limit of tasks': [{ hits: { outOfMemory: 0, outOfProcesses: 2 } }, 'out_of_processes'],
  'the sentry panicked at a stub': [{ panic: 'panic: unable to create a stub process' }, 'out_of_processes'],
  'the sentry panicked': [{ panic: 'panic: nil' }, 'engine_failed'],
  'the gofer died': [{ waitStatus: 9, goferLost: true }, 'engine_failed'],
  'the sentry vanished': [{}, 'engine_failed'],
  'it ended unseen': [{ attended: false }, 'exited'],
  'it was asked for': [{ requested: true, hits: oom }, 'killed', undefined, 9],
};

for (const [title, [evidence, cause, status, signal]] of Object.entries(cases)) {
  test(`judgeExit() says ${cause} when ${title}`, () => {
    const exit = judgeExit({ ...quiet, ...evidence });
    assert.deepEqual([exit.cause, exit.status, exit.signal], [cause, status, signal]);
    assert.notEqual(exit.detail, '');
  });
}
