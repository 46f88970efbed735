import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { newId } from '@skerry/model';
import {
  assertRefused,
  bootTestInternet,
  config,
  gatewayUid,
  inside,
  internet,
  machine,
} from './testing/test-internet.ts';
import type { NetworkProgram, TestMachine } from './testing/test-machine.ts';

let place: TestMachine;
let network: NetworkProgram;

before(async () => {
  ({ place } = await bootTestInternet());
  network = place.startNetwork('tst0nw', config);
  await network.call('start');
});

after(async () => {
  await place[Symbol.asyncDispose]();
});

async function kernelNames(instance: string): Promise<string> {
  return place.shell(
    machine,
    `ls /run/netns /sys/class/net | grep '^sk${instance}' || true; nft list tables | grep ${instance} || true
     ip route show table all | grep sk${instance} || true`,
  );
}

describe('the life of a network', () => {
  const subnet = '10.202.16.0/28';

  test('a daemon that was killed finds its leases again; the rest is reported and removed when asked', async () => {
    const settings = { ...config, subnet };
    const first = place.startNetwork('tst1nw', settings);
    await first.call('start');
    const kept = newId('boot');
    const lease = await first.call('lease', kept);
    const lost = await first.call('lease', newId('boot'));
    await place.serve(inside(lease), 8080);
    await first.kill();

    assert.ok(
      (await place.probe(machine, ['tcp', lease.address, 8080], gatewayUid)).answer !== undefined,
      'nobody is cut off',
    );
    const second = place.startNetwork('tst1nw', settings);
    await second.call('start');
    await second.call('adopt', kept, lease.namespacePath, lease.address);
    await second.call('adopt', kept, lease.namespacePath, lease.address);
    assert.deepEqual(await second.call('lease', kept), lease);
    await assert.rejects(second.call('adopt', newId('boot'), lease.namespacePath, lease.address), { code: 'conflict' });
    await assert.rejects(second.call('adopt', newId('boot'), '/run/netns/sktst1nw-999', '10.202.16.9'), {
      code: 'not_found',
    });
    assert.ok((await place.probe(machine, ['tcp', lease.address, 8080], gatewayUid)).answer !== undefined);
    assert.ok((await place.probe(inside(lease), ['tcp', '198.51.100.7', 80])).answer !== undefined);

    const garbage = await second.call('garbage');
    assert.ok(garbage.some(({ name }) => name === inside(lost).namespace));
    assert.ok(!garbage.some(({ name }) => name === inside(lease).namespace));
    for (const item of [...garbage, { kind: 'namespace', name: inside(lease).namespace, ageMs: 0 }])
      await second.call('removeGarbage', item);
    assert.deepEqual(await second.call('garbage'), []);
    assert.ok(
      (await place.probe(machine, ['tcp', lease.address, 8080], gatewayUid)).answer !== undefined,
      'what is held stays',
    );
    await second.call('teardown');
    assert.equal(await kernelNames('tst1nw'), '');
  });

  test('release() leaves nothing of a boot, twice as well as once, and its address is not the next one given', async () => {
    const boot = newId('boot');
    const lease = await network.call('lease', boot);
    assert.deepEqual(await network.call('lease', boot), lease);
    await Promise.all([network.call('release', boot), network.call('release', boot)]);
    const slot = inside(lease).namespace.split('-')[1];
    const left = await place.shell(
      machine,
      `ls /run/netns /sys/class/net | grep -E '^sktst0nw(v|-)${slot}$' || true; ip route show table all | grep '${lease.address} ' || true
       nft list table netdev skerry_tst0nw | grep -E '(in|out)${slot} ' || true`,
    );
    assert.equal(left, '');
    const next = newId('boot');
    assert.notEqual((await network.call('lease', next)).address, lease.address);
    await network.call('release', next);
  });

  test('a peer of a sandbox that has ended gets a reset for what it sends, out there and on the machine', async () => {
    const settings = { ...config, subnet: '10.202.17.0/28' };
    const program = place.startNetwork('tst5nw', settings);
    await program.call('start');
    const bootId = newId('boot');
    const lease = await program.call('lease', bootId);
    const peer = place.start(
      internet,
      process.execPath,
      '-e',
      `const server = require('node:net').createServer((socket) => {
         console.log('connected from ' + socket.remoteAddress);
         socket.on('error', (error) => { console.log('error ' + error.code); process.exit(); });
         process.stdin.on('data', () => socket.write('late'));
       });
       server.listen(7000, '198.51.100.7', () => console.log('listens'));`,
    );
    const lines: AsyncIterator<string> = createInterface({ input: peer.stdout ?? process.stdin })[
      Symbol.asyncIterator
    ]();
    assert.equal((await lines.next()).value, 'listens');
    place.start(
      inside(lease),
      process.execPath,
      '-e',
      "require('node:net').connect(7000, '198.51.100.7'); setInterval(() => undefined, 1000)",
    );
    assert.match(String((await lines.next()).value), /^connected from .*203\.0\.113\.2$/);
    await program.call('release', bootId);
    peer.stdin?.write('go');
    assert.equal((await lines.next()).value, 'error ECONNRESET');
    assertRefused(await place.probe(machine, ['tcp', lease.address, 8080], gatewayUid));
    await program.call('teardown');
  });

  test('lease() says so when no address is free, and works again when one is', async () => {
    const small = place.startNetwork('tst2nw', { ...config, subnet: '10.202.17.0/29' }, 0);
    await small.call('start');
    const boots = Array.from({ length: 5 }, () => newId('boot'));
    const leases = await Promise.all(boots.map((boot) => small.call('lease', boot)));
    assert.equal(new Set(leases.map(({ address }) => address)).size, 5);
    await assert.rejects(small.call('lease', newId('boot')), { code: 'exhausted', reason: 'addresses_exhausted' });
    await small.call('release', boots[0]);
    await small.call('lease', newId('boot'));
    await small.call('teardown');
    assert.equal(await kernelNames('tst2nw'), '');
  });

  test('start() refuses a subnet that the machine uses, and names the route', async () => {
    await place.shell(machine, 'ip route add 10.203.0.0/16 via 203.0.113.1');
    const colliding = place.startNetwork('tst3nw', { ...config, subnet: '10.203.4.0/24' });
    await assert.rejects(colliding.call('start'), {
      code: 'precondition_failed',
      reason: 'subnet_collision',
      message: /10\.203\.0\.0\/16.*"eth0"/,
    });
    assert.equal(await kernelNames('tst3nw'), '');
    const second = place.startNetwork('tst4nw', config);
    await assert.rejects(second.call('start'), { reason: 'subnet_collision' });
  });

  test('forwarding is turned on for links only, shared by two instances, and put back by the last', async () => {
    const forwarding = (): Promise<string> =>
      place.shell(machine, 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/forwarding');
    assert.equal(await forwarding(), '0\n1\n');
    const second = place.startNetwork('tst5nw', { ...config, subnet });
    await second.call('start');
    await network.call('teardown');
    assert.equal(await kernelNames('tst0nw'), '');
    assert.equal(await forwarding(), '0\n1\n');
    await second.call('teardown');
    assert.equal(await forwarding(), '0\n0\n');
    assert.equal(await place.shell(machine, 'nft list ruleset; ip address show dev lo | grep 10.20 || true'), '');
  });

  test('a machine that forwards already is left as it is', async () => {
    await place.shell(machine, 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    const third = place.startNetwork('tst6nw', { ...config, subnet });
    await third.call('start');
    const lease = await third.call('lease', newId('boot'));
    assert.ok((await place.probe(inside(lease), ['tcp', '198.51.100.7', 80])).answer !== undefined);
    await third.call('teardown');
    await third.call('teardown');
    assert.equal(
      await place.shell(machine, 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/forwarding'),
      '1\n1\n',
    );
  });
});
