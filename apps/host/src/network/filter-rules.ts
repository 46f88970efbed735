import type { NetworkConfig } from '@skerry/protocol';
import { type AddressPlan, inside } from './address-plan.ts';
import { closedRanges } from './closed-ranges.ts';
import { addEdges } from './edge-rules.ts';

/** Port of the guest's control protocol, for the host daemon alone. */
const controlPort = 49982;
/** Port of the guest's public protocol. */
const envdPort = 49983;
/** Most connections that the kernel tracks for one sandbox, so that none can fill the machine's table. */
export const mostConnections = 4096;

function elements(values: readonly string[]): string {
  return values.length === 0 ? '' : `elements = { ${values.join(', ')} }`;
}

/**
 * The whole ruleset of an instance, which replaces an earlier one in one transaction. It names no single sandbox but in the edge chains:
 * a lease changes no rule. `forwarding` are the devices whose forwarding Skerry turned on.
 *
 * What is sent to an address of the subnet and has no link to go out by is for a sandbox that has ended: the sender is told so at once. The kernel
 * still knows the connection, so a peer out there gets the reset from the address that it spoke with.
 */
export function instanceRules(
  plan: AddressPlan,
  config: NetworkConfig,
  slots: readonly number[],
  forwarding: readonly string[],
): string {
  const table = plan.tableName;
  const sandboxes = `"${plan.linkPrefix}*"`;
  return `add table inet ${table}
delete table inet ${table}
add table netdev ${table}
delete table netdev ${table}
table inet ${table} {
  set closed {
    type ipv4_addr; flags interval
    ${elements(closedRanges.map(({ range }) => range))}
  }
  set opened {
    type ipv4_addr; flags interval; auto-merge
    ${elements(config.allowEgress)}
  }
  set forwarding {
    type ifname
    ${elements(forwarding.map((device) => `"${device}"`))}
  }
  set connections {
    type ipv4_addr; size 65535; flags dynamic
  }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    meta l4proto udp reject with icmp port-unreachable
    reject with icmp admin-prohibited
    drop
  }
  chain limit_connections {
    ct state new add @connections { ip saddr ct count over ${mostConnections} } goto refuse
  }
  chain resolve {
    type nat hook prerouting priority dstnat; policy accept;
    iifname ${sandboxes} ip daddr ${inside.gateway} udp dport 53 dnat ip to ${plan.ownAddress}:${config.resolverPort}
    iifname ${sandboxes} ip daddr ${inside.gateway} tcp dport 53 dnat ip to ${plan.ownAddress}:${config.resolverPort}
  }
  chain masquerade_sandboxes {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${plan.subnet} oifname != { ${sandboxes}, "lo" } masquerade
  }
  chain sandbox_to_host {
    ct state established,related accept
    jump limit_connections
    ip daddr ${plan.ownAddress} ct status dnat udp dport ${config.resolverPort} accept
    ip daddr ${plan.ownAddress} ct status dnat tcp dport ${config.resolverPort} accept
    goto refuse
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname ${sandboxes} goto sandbox_to_host
  }
  chain sandbox_to_elsewhere {
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    ct state established,related accept
    ct state invalid drop
    oifname ${sandboxes} goto refuse
    ip daddr ${plan.subnet} goto refuse
    jump limit_connections
    ip daddr @opened accept
    ip daddr @closed goto refuse
    meta nfproto ipv4 accept
    drop
  }
  chain elsewhere_to_sandbox {
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    ct state established,related accept
    drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname ${sandboxes} goto sandbox_to_elsewhere
    oifname ${sandboxes} goto elsewhere_to_sandbox
    ip daddr ${plan.subnet} goto refuse
    iifname @forwarding ct state new drop
  }
  chain host_to_sandbox {
    ct state established,related accept
    icmp type { destination-unreachable, time-exceeded } accept
    meta skuid ${config.gatewayUid} tcp dport != ${controlPort} accept
    meta skuid 0 tcp dport { ${controlPort}, ${envdPort} } accept
    goto refuse
  }
  chain output {
    type filter hook output priority filter; policy accept;
    oifname ${sandboxes} goto host_to_sandbox
    ip daddr ${plan.subnet} ip daddr != ${plan.ownAddress} goto refuse
  }
}
${slots.length === 0 ? `add table netdev ${table}\n` : addEdges(plan, slots)}`;
}

/** Removes both tables, whether they are there or not. */
export function removeRules(plan: AddressPlan): string {
  return ['inet', 'netdev']
    .flatMap((family) => [`add table ${family} ${plan.tableName}`, `delete table ${family} ${plan.tableName}`, ''])
    .join('\n');
}
