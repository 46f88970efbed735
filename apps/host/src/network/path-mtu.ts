import { ipQuery } from './kernel.ts';

const usualMtu = 1500;
const leastMtu = 1280;

/** Largest packet that leaves this machine whole, in bytes: that of the link with the default route, at most 1500. */
export async function pathMtu(): Promise<number> {
  const routes = await ipQuery(['-4', 'route', 'show', 'default']);
  const sizes: number[] = [];
  for (const route of routes) {
    const { dev } = route as { dev?: unknown };
    if (typeof dev !== 'string') continue;
    for (const link of await ipQuery(['link', 'show', 'dev', dev])) {
      const { mtu } = link as { mtu?: unknown };
      if (typeof mtu === 'number') sizes.push(mtu);
    }
  }
  return Math.max(leastMtu, Math.min(usualMtu, ...sizes));
}
