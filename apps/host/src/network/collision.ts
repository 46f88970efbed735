import { Problem } from '@skerry/model';
import { type AddressPlan, overlaps, parseRange } from './address-plan.ts';
import { ipQuery } from './kernel.ts';

/** A route of the machine, as far as it matters here. */
export interface MachineRoute {
  readonly destination: string;
  readonly device: string;
}

/** All IPv4 routes of the machine, in every table. */
export async function machineRoutes(table = 'all'): Promise<MachineRoute[]> {
  const routes = await ipQuery(['-4', 'route', 'show', 'table', table]);
  return routes.flatMap((route) => {
    const { dst, dev } = route as { dst?: unknown; dev?: unknown };
    return typeof dst === 'string' ? [{ destination: dst, device: typeof dev === 'string' ? dev : '' }] : [];
  });
}

/** Throws when the machine reaches something else by an address of the sandboxes' subnet. What the instance itself set up earlier is no collision. */
export function refuseCollision(plan: AddressPlan, routes: readonly MachineRoute[]): void {
  for (const { destination, device } of routes) {
    const range = parseRange(destination);
    if (range === undefined || range.last - range.first >= 0xffffffff || !overlaps(range, plan.range)) continue;
    if (device.startsWith(plan.linkPrefix)) continue;
    if (device === 'lo' && (destination === plan.ownAddress || destination === `${plan.ownAddress}/32`)) continue;
    throw new Problem(
      'precondition_failed',
      `The sandbox subnet ${plan.subnet} collides with the route to ${destination}${device === '' ? '' : ` through "${device}"`} of this machine`,
      {
        reason: 'subnet_collision',
        hint: 'Choose a subnet that this machine does not use, such as 10.201.16.0/20 or 100.64.16.0/20, and start again.',
      },
    );
  }
}
