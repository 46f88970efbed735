import assert from 'node:assert/strict';
import type { NetworkConfig } from '@skerry/protocol';
import type { NetworkLease } from '../network.ts';
import { type Outcome, type Server, TestMachine } from './test-machine.ts';

export const machine = { machine: true } as const;
export const internet = { namespace: 'internet' } as const;
export const gatewayUid = 61_002;
export const strangerUid = 61_009;
export const config: NetworkConfig = {
  subnet: '10.201.16.0/24',
  gatewayUid,
  egressUid: 61_003,
  resolverPort: 5353,
  allowEgress: ['10.66.0.0/16'],
};

/** Addresses that the test's internet answers on, and that a sandbox may not reach. */
export const closedAddresses = [
  ['the metadata service of a cloud', '169.254.169.254'],
  ['a private network of 10.0.0.0/8', '10.77.0.1'],
  ['a private network of 172.16.0.0/12', '172.20.0.1'],
  ['a private network of 192.168.0.0/16', '192.168.9.9'],
  ['a carrier network of 100.64.0.0/10', '100.64.0.9'],
  ['an address of 0.0.0.0/8', '0.5.5.5'],
  ['a reserved address of 240.0.0.0/4', '240.1.1.1'],
] as const;

/** The namespace of a lease, as a place where probes run. */
export function inside(lease: NetworkLease): { namespace: string } {
  return { namespace: lease.namespacePath.slice('/run/netns/'.length) };
}

export function assertRefused(outcome: Outcome): void {
  assert.equal(outcome.answer, undefined);
  assert.notEqual(outcome.error, 'timeout', 'a refusal is told at once');
}

export function assertNoAnswer(outcome: Outcome): void {
  assert.equal(outcome.answer, undefined);
  assert.ok(outcome.error !== undefined);
}

/** A machine that does not forward, and an internet behind it that answers on public and on closed addresses, TCP 80 and UDP 5000. */
export async function bootTestInternet(): Promise<{ place: TestMachine; world: Server }> {
  const place = await TestMachine.boot();
  await place.shell(
    machine,
    `ip netns add internet
     ip link add eth0 mtu 1400 type veth peer name wan0 mtu 1400 netns internet
     ip address add 203.0.113.2/24 dev eth0
     ip link set eth0 up
     ip -n internet link set lo up
     ip -n internet address add 203.0.113.1/24 dev wan0
     ip -n internet address add 198.51.100.7/32 dev lo
     ip -n internet address add 192.0.2.9/32 dev lo
     ip -n internet address add 10.66.0.1/32 dev lo
     ${closedAddresses.map(([, address]) => `ip -n internet address add ${address}/32 dev lo 2>/dev/null || true`).join('\n')}
     ip -n internet link set wan0 up
     ip route add default via 203.0.113.1
     echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
     until ip -n internet link show wan0 | grep -q 'state UP'; do sleep 0.02; done`,
  );
  const world = await place.serve(internet, 80, 5000);
  return { place, world };
}
