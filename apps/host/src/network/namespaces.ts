import { readdir, writeFile } from 'node:fs/promises';
import { runCommand } from '@skerry/kit';
import { type AddressPlan, inside } from './address-plan.ts';
import { addEdges, removeEdges } from './edge-rules.ts';
import { applyRules, ipBatch, ipForce } from './kernel.ts';

const namespaceDir = '/run/netns';
const linkDir = '/sys/class/net';

async function entries(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Slots of this instance of which the kernel holds a link or a namespace. */
export async function findSlots(plan: AddressPlan): Promise<{ links: Set<number>; namespaces: Set<number> }> {
  const slots = (names: readonly string[]): Set<number> =>
    new Set(names.map((name) => plan.slotOf(name)).filter((slot) => slot !== undefined));
  return { links: slots(await entries(linkDir)), namespaces: slots(await entries(namespaceDir)) };
}

/** Sets a kernel setting; one that this kernel does not have (IPv6 left out) counts as set. */
export async function setKernelSetting(path: string, value: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/${path}`, value);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Makes whole namespaces, ready for an engine: links, addresses, neighbours, routes and edge rules. Rules come before any link goes up. */
export async function createNamespaces(plan: AddressPlan, slots: readonly number[], mtu: number): Promise<void> {
  if (slots.length === 0) return;
  await ipBatch([
    ...slots.map((slot) => `netns add ${plan.namespace(slot)}`),
    ...slots.map(
      (slot) =>
        `link add ${plan.link(slot)} address ${inside.gatewayMac} mtu ${mtu} type veth ` +
        `peer name eth0 address ${inside.mac} mtu ${mtu} netns ${plan.namespace(slot)}`,
    ),
  ]);
  await Promise.all(
    slots.flatMap((slot) => [
      setKernelSetting(`net/ipv6/conf/${plan.link(slot)}/disable_ipv6`, '1'),
      setKernelSetting(`net/ipv4/conf/${plan.link(slot)}/forwarding`, '1'),
    ]),
  );
  await applyRules(addEdges(plan, slots));
  await ipBatch(
    slots.flatMap((slot) => [
      `link set ${plan.link(slot)} up`,
      `neigh replace ${plan.address(slot)} lladdr ${inside.mac} nud permanent dev ${plan.link(slot)}`,
      `route replace ${plan.address(slot)}/32 dev ${plan.link(slot)} src ${plan.ownAddress}`,
    ]),
  );
  await configureInside(slots.map((slot) => plan.namespace(slot)));
}

/** Sets up the inner ends. One shell for all of them: what costs here is that this process starts others. */
async function configureInside(namespaces: readonly string[]): Promise<void> {
  const lines = [
    'link set lo up',
    `address add ${inside.address}/${inside.prefixLength} dev eth0`,
    'link set eth0 up',
    `neigh replace ${inside.gateway} lladdr ${inside.gatewayMac} nud permanent dev eth0`,
    `route add default via ${inside.gateway}`,
  ];
  const script = `for namespace; do printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} | ip -n "$namespace" -batch -; done`;
  await runCommand('sh', ['-ec', script, 'sh', ...namespaces], { deadlineMs: 60_000 });
}

/** A number for the link group in which links wait for their removal; groups are the machine's, so it comes from the instance's name. */
function removalGroup(plan: AddressPlan): number {
  return 0x40000000 + (Number.parseInt(plan.instance, 36) % 0x3fffffff);
}

/** Removes whatever the kernel holds of these slots; nothing of them is left when it returns. */
export async function removeNamespaces(plan: AddressPlan, slots: readonly number[]): Promise<void> {
  if (slots.length === 0) return;
  // The kernel waits for a grace period at each removal of a link, but only once for a group.
  const group = removalGroup(plan);
  await ipForce([
    ...slots.map((slot) => `link set ${plan.link(slot)} group ${group}`),
    `link delete group ${group}`,
    ...slots.map((slot) => `netns delete ${plan.namespace(slot)}`),
  ]);
  await applyRules(removeEdges(plan, slots));
  const left = await findSlots(plan);
  const stuck = slots.filter((slot) => left.links.has(slot) || left.namespaces.has(slot));
  if (stuck.length > 0) throw new Error(`The kernel kept ${stuck.map((slot) => plan.link(slot)).join(', ')}`);
}
