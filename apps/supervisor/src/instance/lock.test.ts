import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { InstanceLock } from './lock.ts';

const directory = await mkdtemp(join(tmpdir(), 'supervisor-lock-'));
after(() => rm(directory, { recursive: true }));

/** Another process that takes the lock, says so, and keeps it. */
async function otherHolder(file: string): Promise<ChildProcess> {
  const script = `import { InstanceLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
    globalThis.lock = await InstanceLock.take(${JSON.stringify(file)}, () => undefined);
    console.log('held'); setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('InstanceLock.take() refuses while another process holds the lock, and takes it when that was killed', async () => {
  const file = join(directory, 'killed');
  const child = await otherHolder(file);
  await assert.rejects(
    InstanceLock.take(file, () => undefined),
    { reason: 'already_running' },
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = await InstanceLock.take(file, () => assert.fail('it was not lost'));
  await lock[Symbol.asyncDispose]();
});

test('InstanceLock can be taken again after it was released', async () => {
  const file = join(directory, 'released');
  for (let n = 0; n < 3; n++) {
    const lock = await InstanceLock.take(file, () => assert.fail('it was not lost'));
    await lock[Symbol.asyncDispose]();
  }
});
