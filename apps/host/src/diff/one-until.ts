import { relative } from 'node:path';
import { runCommand } from '@skerry/kit';

/** A subvolume that was made as a snapshot of another. */
export interface Descent {
  readonly uuid: string;
  readonly parentUuid: string;
  /** Unix time in `ms` when it left its parent, to the second below. */
  readonly leftAtMs: number;
  /** From the top of the file system. */
  readonly path: string;
}

/** Unix time in `ms` until which two subvolumes of a store were one tree; `undefined` when they have no ancestor in common that is known. */
export async function oneUntilMs(storeDir: string, first: string, second: string): Promise<number | undefined> {
  const listing = await runCommand('btrfs', ['subvolume', 'list', '-s', '-q', '-u', storeDir], {
    env: { ...process.env, TZ: 'UTC' },
  });
  const descents = parseDescents(listing);
  return partingOf(descents, relative(storeDir, first), relative(storeDir, second));
}

/** Reads `btrfs subvolume list -s -q -u` with its times in UTC. */
export function parseDescents(listing: string): Descent[] {
  const found: Descent[] = [];
  for (const line of listing.split('\n')) {
    const match = /otime (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\s+parent_uuid (\S+)\s+uuid (\S+)\s+path (.*)$/.exec(line);
    if (match === null) continue;
    const [, day = '', time = '', parentUuid = '', uuid = '', path = ''] = match;
    const leftAtMs = Date.parse(`${day}T${time}Z`);
    if (parentUuid !== '-' && Number.isFinite(leftAtMs)) found.push({ uuid, parentUuid, leftAtMs, path });
  }
  return found;
}

/** When the ways of two different subvolumes parted. Their paths may be cut at the left. */
export function partingOf(descents: readonly Descent[], first: string, second: string): number | undefined {
  const byUuid = new Map(descents.map((descent) => [descent.uuid, descent]));
  /** For each ancestor, and the subvolume itself, when this line left it. */
  const line = (path: string): Map<string, number> => {
    const left = new Map<string, number>();
    let at = descents.find((descent) => descent.path === path || descent.path.endsWith(`/${path}`));
    if (at !== undefined) left.set(at.uuid, Number.POSITIVE_INFINITY);
    while (at !== undefined && !left.has(at.parentUuid)) {
      left.set(at.parentUuid, at.leftAtMs);
      at = byUuid.get(at.parentUuid);
    }
    return left;
  };
  const other = line(second);
  for (const [uuid, leftAtMs] of line(first)) {
    const otherLeftAtMs = other.get(uuid);
    if (otherLeftAtMs !== undefined) return Math.min(leftAtMs, otherLeftAtMs);
  }
  return undefined;
}
