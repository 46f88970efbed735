import type { Duplex } from 'node:stream';

/** Joins two connections: bytes both ways with back-pressure, half-closes passed on, and each one's end by force is the other's. */
export function splice(left: Duplex, right: Duplex): void {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.on('error', () => to.destroy());
    from.once('close', () => to.destroy());
    from.pipe(to);
  }
}
