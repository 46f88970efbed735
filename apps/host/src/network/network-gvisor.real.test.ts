import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand } from '@skerry/kit';
import { newId } from '@skerry/model';
import { assertRefused, bootTestInternet, config, gatewayUid, machine, strangerUid } from './testing/test-internet.ts';
import type { NetworkProgram, Outcome, TestMachine } from './testing/test-machine.ts';

let place: TestMachine;
let network: NetworkProgram;

before(async () => {
  ({ place } = await bootTestInternet());
  network = place.startNetwork('tst7nw', config);
  await network.call('start');
  await place.serve(machine, 22, 5353);
});

after(async () => {
  await place[Symbol.asyncDispose]();
});

test('a real gVisor sandbox goes out, is told of refusals, and is reached at its unique address', async () => {
  const artifacts = JSON.parse(
    await runCommand(process.execPath, [join(import.meta.dirname, '../../../../setup/main.ts'), '--json']),
  ) as { runsc: { path: string } };
  const directory = await mkdtemp(join(tmpdir(), 'skerry-network-'));
  const leases = [await network.call('lease', newId('boot')), await network.call('lease', newId('boot'))];
  const flags = [
    `--root=${join(directory, 'state')}`,
    '--platform=systrap',
    '--network=sandbox',
    '--ignore-cgroups',
    '--overlay2=none',
  ];
  const runsc = (...args: string[]): Promise<string> => place.run(machine, artifacts.runsc.path, ...flags, ...args);
  const probe = async (name: string, ...words: string[]): Promise<Outcome> =>
    JSON.parse(
      await runsc('exec', name, process.execPath, join(import.meta.dirname, 'testing/probe.ts'), ...words),
    ) as Outcome;
  try {
    for (const [index, lease] of leases.entries()) {
      const bundle = join(directory, `bundle${index}`);
      await mkdir(bundle);
      await writeFile(
        join(bundle, 'config.json'),
        JSON.stringify({
          ociVersion: '1.0.0',
          process: {
            user: { uid: 0, gid: 0 },
            args: [process.execPath, join(import.meta.dirname, 'testing/probe.ts'), 'serve', '8080'],
            env: ['PATH=/usr/bin:/bin'],
            cwd: '/',
          },
          root: { path: '/', readonly: true },
          hostname: 'box',
          mounts: [
            { destination: '/proc', type: 'proc', source: 'proc' },
            { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
          ],
          linux: {
            namespaces: [
              { type: 'pid' },
              { type: 'ipc' },
              { type: 'mount' },
              { type: 'network', path: lease.namespacePath },
            ],
          },
        }),
      );
      const child = place.start(machine, artifacts.runsc.path, ...flags, 'run', '--bundle', bundle, `box${index}`);
      await new Promise((resolve, reject) => {
        child.stdout?.once('data', resolve);
        child.once('exit', (status) => reject(new Error(`runsc ended with ${status}`)));
      });
    }
    for (const lease of leases) {
      const outcome = await place.probe(machine, ['tcp', lease.address, 8080], gatewayUid);
      assert.match(String(outcome.answer), /10\.201\.16\.1/);
      assertRefused(await place.probe(machine, ['tcp', lease.address, 8080], strangerUid));
    }
    assert.match(String((await probe('box0', 'tcp', '198.51.100.7', '80')).answer), /203\.0\.113\.2/);
    assert.match(String((await probe('box1', 'bulk', '198.51.100.7', '80', '4000000')).answer), /"bytes":4000000/);
    assert.equal((await probe('box0', 'udp', '198.51.100.7', '5000', '#6000')).answer, 6000);
    assert.equal((await probe('box0', 'udp', '172.31.255.1', '53', 'question')).answer, 'question');
    assertRefused(await probe('box0', 'tcp', '169.254.169.254', '80'));
    assertRefused(await probe('box0', 'tcp', '10.77.0.1', '80'));
    assertRefused(await probe('box1', 'udp', '10.77.0.1', '5000', 'closed'));
    assertRefused(await probe('box0', 'tcp', leases[1]?.address ?? '', '8080'));
    assertRefused(await probe('box0', 'tcp', '203.0.113.2', '22'));
  } finally {
    for (const index of leases.keys()) await runsc('delete', '--force', `box${index}`).catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  }
});
