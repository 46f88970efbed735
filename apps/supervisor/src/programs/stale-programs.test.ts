import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { randomLabel } from '@skerry/model';
import type { InstanceIdentity } from '../instance/identity.ts';
import { configFileOf, layoutOf } from '../instance/layout.ts';
import { endStalePrograms, findStalePrograms, startTimeOf } from './stale-programs.ts';

const identity = { id: randomLabel(6), uidBase: 50_000 } as InstanceIdentity;
const layout = layoutOf('/nowhere', identity);

test('findStalePrograms() finds the programs of its own instance, and endStalePrograms() ends them and no others', async () => {
  const fake = (config: string, script = 'sleep 60; :'): ReturnType<typeof spawn> =>
    spawn('sh', ['-c', script, '/x/apps/gateway/src/main.ts', '--config', config], { stdio: 'ignore' });
  const mine = fake(configFileOf(layout, 'gateway'));
  const stubborn = fake(configFileOf(layout, 'gateway'), "trap '' TERM; while :; do sleep 1; done");
  const foreign = fake(configFileOf(layoutOf('/nowhere', { ...identity, id: 'zzzzzz' }), 'gateway'));
  try {
    for (const child of [mine, stubborn, foreign]) if (child.pid === undefined) await once(child, 'spawn');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const stale = await findStalePrograms(layout);
    assert.deepEqual(stale.map(({ pid }) => pid).sort(), [mine.pid, stubborn.pid].sort());
    await endStalePrograms(stale, 200);
    assert.deepEqual(await findStalePrograms(layout), []);
    assert.notEqual(await startTimeOf(foreign.pid ?? 0), undefined);
  } finally {
    for (const child of [mine, stubborn, foreign]) child.kill('SIGKILL');
  }
});

test('endStalePrograms() leaves a process alone that got the id of one that is gone', async () => {
  await endStalePrograms([{ name: 'host', pid: process.pid, startTime: '1' }], 100);
});
