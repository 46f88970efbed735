import { type AddressPlan, inside, parseAddress } from './address-plan.ts';

/** Sum of the two halves of an address, as the Internet checksum adds. */
function onesSum(address: string): number {
  const value = parseAddress(address) ?? 0;
  const sum = (value >>> 16) + (value & 0xffff);
  return (sum & 0xffff) + (sum >>> 16);
}

/**
 * The word that stands in the unused field of an ICMP error after translation. The address of the quoted packet changes, and nftables cannot
 * add to a checksum that it does not know; this word takes up the difference, so that the checksum stays true.
 */
export function icmpCompensation(uniqueAddress: string): number {
  const difference = onesSum(uniqueAddress) + (0xffff - onesSum(inside.address));
  return (difference & 0xffff) + (difference >>> 16);
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** Rules that give slot its unique address: without state, at the host's end of the veth, where nothing inside can change them. */
export function edgeChains(plan: AddressPlan, slot: number): string {
  const unique = plan.address(slot);
  const quotedSource = hex(parseAddress(inside.address) ?? 0, 8);
  return `
  chain in${slot} {
    type filter hook ingress device "${plan.link(slot)}" priority 0; policy drop;
    ether type != ip drop
    ip saddr != ${inside.address} drop
    ip hdrlength != 5 drop
    icmp type != { echo-request, echo-reply } drop
    ip saddr set ${unique} accept
  }
  chain out${slot} {
    type filter hook egress device "${plan.link(slot)}" priority 0; policy drop;
    ether type != ip drop
    ip daddr != ${unique} drop
    icmp type { destination-unreachable, time-exceeded } @th,32,16 0 @th,32,16 set ${hex(icmpCompensation(unique), 4)} @th,160,32 set ${quotedSource}
    ip daddr set ${inside.address} accept
  }`;
}

/** Adds the chains of these slots. */
export function addEdges(plan: AddressPlan, slots: readonly number[]): string {
  return `table netdev ${plan.tableName} {${slots.map((slot) => edgeChains(plan, slot)).join('')}\n}\n`;
}

/** Removes the chains of these slots, whether they are there or not: some kernels remove them together with the link. */
export function removeEdges(plan: AddressPlan, slots: readonly number[]): string {
  const chains = slots.flatMap((slot) => [`in${slot}`, `out${slot}`]);
  return [
    `add table netdev ${plan.tableName}`,
    ...chains.map((chain) => `add chain netdev ${plan.tableName} ${chain}`),
    ...chains.map((chain) => `delete chain netdev ${plan.tableName} ${chain}`),
    '',
  ].join('\n');
}
