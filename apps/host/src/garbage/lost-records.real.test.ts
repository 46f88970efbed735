import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@skerry/model';
import { HostProcess } from '../testing/host-process.ts';

let host: HostProcess;
before(async () => {
  host = await HostProcess.start();
});
after(async () => {
  await host[Symbol.asyncDispose]();
});

test('a boot whose record a power failure took is removed by the next daemon, and those that run are left alone', async () => {
  const sandbox = host.newSandbox();
  await host.putDisk(sandbox);
  assert.equal((await host.putBoot(sandbox)).state, 'running');
  const boots = join(host.config.storeDir, 'boots');
  const [empty, bare] = [newId('boot'), newId('boot')];
  await host.down('SIGKILL');
  for (const id of [empty, bare]) await mkdir(join(boots, id));
  await writeFile(join(boots, empty, 'boot.json'), '');
  await writeFile(join(boots, empty, 'boot.json.tmp'), '');
  await host.up();
  for (let n = 0; n < 200 && (await readdir(boots)).length > 1; n++) await sleep(50);
  assert.deepEqual(await readdir(boots), [sandbox.bootId]);
  assert.equal((await host.getBoot(sandbox)).state, 'running');
  await host.destroy(sandbox);
  assert.deepEqual(await host.remains(), []);
});
