/** The full counts of which `npm test` runs a slice. Run by `npm run soak`; prints its seed and its figures. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { tryCommand } from '@skerry/kit';
import { Instance } from '../e2e/instance.ts';

let skerry: Instance;
before(async () => {
  skerry = await Instance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

test('1 GiB of output without a reader takes no memory and ends nothing', async () => {
  const { id } = await skerry.create({ memoryMiB: 256 });
  await skerry.exec(id, 'head -c 1G /dev/zero | tr "\\0" x; echo done > ~/done', { detach: true });
  await skerry.sh(id, 'while [ ! -e ~/done ]; do sleep 0.5; done', { timeoutMs: 600_000 });
  assert.equal((await skerry.get(id)).lastExit, undefined);
  await skerry.remove(id);
});

test('a million small files are made, survive a stop and a start, and go with the sandbox', async () => {
  const { id } = await skerry.create({ memoryMiB: 1024, diskMiB: 8192 });
  const make =
    "python3 -c \"import os\nfor d in range(1000):\n  os.makedirs(f'/home/user/m/{d}')\n  for f in range(1000): open(f'/home/user/m/{d}/{f}', 'w').close()\"";
  await skerry.sh(id, make, { timeoutMs: 1_800_000 });
  await skerry.change(id, 'stop');
  await skerry.change(id, 'start');
  assert.equal((await skerry.sh(id, 'find ~/m -type f | wc -l', { timeoutMs: 600_000 })).trim(), '1000000');
  await skerry.remove(id);
});

test('200 rounds of stop and start lose nothing and leave nothing', async () => {
  const { id } = await skerry.create({ memoryMiB: 256 });
  const entries = async (): Promise<string> =>
    (await tryCommand('find', [`${skerry.dataDir}/store`, '-maxdepth', '2'])).stdout;
  await skerry.change(id, 'stop');
  await skerry.change(id, 'start');
  const before = (await entries()).split('\n').length;
  for (let round = 0; round < 200; round++) {
    await skerry.sh(id, `echo ${round} >> ~/rounds`);
    await skerry.change(id, 'stop');
    await skerry.change(id, 'start');
  }
  const lines = (await skerry.sh(id, 'cat ~/rounds')).trim().split('\n');
  assert.deepEqual(
    lines,
    Array.from({ length: 200 }, (_, round) => String(round)),
  );
  assert.equal((await entries()).split('\n').length, before);
  await skerry.remove(id);
});

test('500 ephemeral sandboxes in bursts of 25 leave no process, namespace or mount', async () => {
  for (let burst = 0; burst < 20; burst++) {
    const made = await Promise.all(
      Array.from({ length: 25 }, () => skerry.create({ kind: 'ephemeral', memoryMiB: 128, cpus: 0.5 })),
    );
    await Promise.all(made.map((sandbox) => skerry.sh(sandbox.id, 'echo hi')));
    await Promise.all(made.map((sandbox) => skerry.remove(sandbox.id)));
  }
  assert.deepEqual(await skerry.enginePids('sandbox'), []);
  assert.deepEqual((await skerry.api('GET', '/v1/garbage')).body['items'], []);
  // What is kept ready for the next sandboxes, and no more.
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').filter((line) => line.includes(skerry.id));
  const prepared = mounts.filter((line) => line.includes(`/run/netns/sk${skerry.id}-`));
  assert.ok(prepared.length <= 8, `${prepared.length} namespaces`);
  const engineOwn = mounts.filter((line) => line.includes('/runsc/null-netns'));
  assert.ok(engineOwn.length <= 1, engineOwn.join('\n'));
  assert.equal(mounts.length, prepared.length + engineOwn.length, mounts.join('\n'));
});
