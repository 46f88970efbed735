import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '@skerry/model';
import type { NetworkLease } from './network.ts';
import {
  assertNoAnswer,
  assertRefused,
  bootTestInternet,
  closedAddresses,
  config,
  gatewayUid,
  inside,
  machine,
  internet,
  strangerUid,
} from './testing/test-internet.ts';
import type { NetworkProgram, Server, TestMachine } from './testing/test-machine.ts';

let place: TestMachine;
let network: NetworkProgram;
let one: NetworkLease;
let other: NetworkLease;
let world: Server;

before(async () => {
  ({ place, world } = await bootTestInternet());
  network = place.startNetwork('tst0nw', config);
  await network.call('start');
  one = await network.call('lease', newId('boot'));
  other = await network.call('lease', newId('boot'));
  await place.serve(machine, 22, 5353);
  await place.serve(inside(one), 8080, 49_982);
  await place.serve(inside(other), 8080);
});

after(async () => {
  await place[Symbol.asyncDispose]();
});

describe('a sandbox goes out', () => {
  for (const address of ['203.0.113.1', '198.51.100.7', '192.0.2.9']) {
    test(`to ${address}, which sees the machine's address`, async () => {
      const outcome = await place.probe(inside(one), ['tcp', address, 80]);
      assert.match(String(outcome.answer), /203\.0\.113\.2$/);
      assert.equal((await place.probe(inside(one), ['udp', address, 5000, 'hello'])).answer, 'hello');
    });
  }

  test('to a closed range that the operator opened', async () => {
    assert.ok((await place.probe(inside(one), ['tcp', '10.66.0.1', 80])).answer !== undefined);
  });

  test('with datagrams of many fragments, and much data over a narrower link', async () => {
    assert.equal((await place.probe(inside(one), ['udp', '198.51.100.7', 5000, '#6000'])).answer, 6000);
    const bulk = await place.probe(inside(one), ['bulk', '198.51.100.7', 80, 4_000_000]);
    assert.match(String(bulk.answer), /"bytes":4000000/);
  });

  test('to the resolver by its gateway, by UDP and TCP', async () => {
    // The test's server on the resolver's port stands for egress.
    assert.equal((await place.probe(inside(one), ['udp', '172.31.255.1', 53, 'question'])).answer, 'question');
    const bulk = await place.probe(inside(one), ['bulk', '172.31.255.1', 53, 100]);
    assert.match(String(bulk.answer), new RegExp(one.address));
  });
});

describe('a sandbox is refused', () => {
  for (const [what, address] of closedAddresses) {
    test(what, async () => {
      assertRefused(await place.probe(inside(one), ['tcp', address, 80]));
      assertRefused(await place.probe(inside(one), ['udp', address, 5000, 'closed']));
    });
  }

  test('the control: the machine itself reaches those addresses, so that it is the rules that refuse', async () => {
    for (const address of ['169.254.169.254', '10.77.0.1', '172.20.0.1', '192.168.9.9', '100.64.0.9'])
      assert.ok((await place.probe(machine, ['tcp', address, 80])).answer !== undefined, address);
    assert.equal((await place.probe(machine, ['udp', '169.254.169.254', 5000, 'control'])).answer, 'control');
    assert.ok(world.lines.some((line) => line.includes('control')));
    assert.ok(!world.lines.some((line) => line.includes('closed')), 'and no datagram of a sandbox arrived');
  });

  test('services of the machine: on its address, on its loopback, on the address of the instance', async () => {
    for (const address of ['203.0.113.2', '10.201.16.1']) {
      assertRefused(await place.probe(inside(one), ['tcp', address, 22]));
      assertNoAnswer(await place.probe(inside(one), ['udp', address, 22, 'x']));
    }
    assert.ok((await place.probe(machine, ['tcp', '203.0.113.2', 22])).answer !== undefined);
    assert.equal((await place.probe(machine, ['udp', '203.0.113.2', 22, 'x'])).answer, 'x');
    assertRefused(await place.probe(inside(one), ['tcp', '172.31.255.1', 22]));
    assertNoAnswer(await place.probe(inside(one), ['tcp', '127.0.0.1', 22]));
    await place.shell(inside(one), 'ip route add 127.9.9.9/32 via 172.31.255.1 dev eth0');
    assertNoAnswer(await place.probe(inside(one), ['udp', '127.9.9.9', 22, 'x']));
  });

  test("the resolver's port on the instance's address, which is not its gateway's port 53", async () => {
    assertNoAnswer(await place.probe(inside(one), ['udp', '10.201.16.1', 5353, 'x']));
  });

  test('another sandbox, by its unique address and by the addresses that all have inside', async () => {
    assertRefused(await place.probe(inside(one), ['tcp', other.address, 8080]));
    assertNoAnswer(await place.probe(inside(one), ['udp', other.address, 8080, 'x']));
    assertRefused(await place.probe(inside(one), ['tcp', '172.31.255.6', 8080]));
    await place.shell(inside(one), 'ip address add 172.31.255.9/24 dev lo');
    assertNoAnswer(await place.probe(inside(one), ['tcp', '172.31.255.3', 8080]));
  });

  test('a source address that is not its own, such as another sandbox or the machine', async () => {
    for (const source of [other.address, '203.0.113.2', '172.31.255.77', '8.8.8.8']) {
      await place.shell(inside(one), `ip address add ${source}/32 dev lo`);
      assertNoAnswer(await place.probe(inside(one), ['udp', '198.51.100.7', 5000, `spoofed ${source}`, source]));
      await place.shell(inside(one), `ip address delete ${source}/32 dev lo`);
    }
    assert.ok(!world.lines.some((line) => line.includes('spoofed')));
  });

  test('IPv6 in any form, even when the host side of its link would take it', async () => {
    const link = `sktst0nwv${Number(one.address.split('.')[3]) - 1}`;
    await place.shell(
      machine,
      `echo 0 > /proc/sys/net/ipv6/conf/${link}/disable_ipv6; ip -6 address add fd00::1/64 dev ${link} nodad`,
    );
    await place.shell(inside(one), 'ip -6 address add fd00::2/64 dev eth0 nodad');
    assertNoAnswer(await place.probe(inside(one), ['udp', 'fd00::1', 22, 'six']));
    await place.shell(machine, `ip -6 address delete fd00::1/64 dev ${link}`);
  });

  test('ARP: a forged announcement changes nothing on the host, and a question gets no answer', async () => {
    await place.shell(
      inside(one),
      `ip neigh delete 172.31.255.1 dev eth0
       ip link set eth0 down; ip link set eth0 address 02:66:66:66:66:66 arp on; ip link set eth0 up
       echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify
       ip route replace default via 172.31.255.1 dev eth0`,
    );
    assertNoAnswer(await place.probe(inside(one), ['udp', '198.51.100.7', 5000, 'forged']));
    const link = `sktst0nwv${Number(one.address.split('.')[3]) - 1}`;
    const neighbours = (await place.run(machine, 'ip', '-4', 'neigh', 'show', 'dev', link)).trim();
    assert.match(neighbours, new RegExp(`^${one.address} lladdr 02:5c:e7:00:00:02 PERMANENT$`));
    await place.shell(
      inside(one),
      `ip link set eth0 down; ip link set eth0 address 02:5c:e7:00:00:02; ip link set eth0 up
       ip neigh replace 172.31.255.1 lladdr 02:5c:e7:00:00:01 nud permanent dev eth0
       ip route replace default via 172.31.255.1 dev eth0`,
    );
    assert.equal((await place.probe(inside(one), ['udp', '198.51.100.7', 5000, 'healed'])).answer, 'healed');
  });
});

describe('a sandbox is reached', () => {
  test('by the gateway on any port but the control port', async () => {
    assert.match(String((await place.probe(machine, ['tcp', one.address, 8080], gatewayUid)).answer), /10\.201\.16\.1/);
    assertRefused(await place.probe(machine, ['tcp', one.address, 49_982], gatewayUid));
  });

  test('by the host daemon on the control port, and on no port of a user', async () => {
    assert.ok((await place.probe(machine, ['tcp', one.address, 49_982])).answer !== undefined);
    assertRefused(await place.probe(machine, ['tcp', one.address, 8080]));
  });

  test('by no other user of the machine', async () => {
    assertRefused(await place.probe(machine, ['tcp', one.address, 8080], strangerUid));
    assertRefused(await place.probe(machine, ['tcp', one.address, 49_982], strangerUid));
    assertNoAnswer(await place.probe(machine, ['udp', one.address, 8080, 'x'], strangerUid));
  });

  test('by nobody out there who routes to its address, and the machine is no router for strangers', async () => {
    await place.shell(
      internet,
      'ip route add 10.201.16.0/24 via 203.0.113.2; ip route add 10.9.9.0/24 via 203.0.113.2',
    );
    assertNoAnswer(await place.probe(internet, ['tcp', one.address, 8080]));
    await place.shell(
      machine,
      `ip netns add lan; ip link add lan0 type veth peer name eth0 netns lan; ip address add 10.9.9.1/24 dev lan0; ip link set lan0 up
       ip -n lan address add 10.9.9.2/24 dev eth0; ip -n lan link set eth0 up; ip -n lan route add default via 10.9.9.1`,
    );
    await place.serve({ namespace: 'lan' }, 80);
    assert.ok((await place.probe(machine, ['tcp', '10.9.9.2', 80])).answer !== undefined);
    assertNoAnswer(await place.probe(internet, ['tcp', '10.9.9.2', 80]));
  });
});

test('traffic() counts what went in and out', async () => {
  const boot = newId('boot');
  const lease = await network.call('lease', boot);
  const before = await network.call('traffic', boot);
  await place.probe(inside(lease), ['bulk', '198.51.100.7', 80, 500_000]);
  const now = await network.call('traffic', boot);
  assert.ok(now.outBytes - before.outBytes > 500_000 && now.inBytes > before.inBytes);
  await network.call('release', boot);
});
