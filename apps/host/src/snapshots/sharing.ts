import type { Extents } from '../store/extents.ts';

/** Marks an extent that more than one owner has. */
const shared = -1;

/** Bytes that each owner alone has. An owner may have several sets. */
export function countSharing(owners: ReadonlyMap<string, readonly Extents[]>): Map<string, number> {
  const names = [...owners.keys()];
  const ownerOf = new Map<number, number>();
  for (const [index, name] of names.entries())
    for (const { starts } of owners.get(name) ?? [])
      for (const start of starts) {
        const before = ownerOf.get(start);
        if (before === undefined) ownerOf.set(start, index);
        else if (before !== index) ownerOf.set(start, shared);
      }
  return new Map(
    names.map((name, index) => {
      let bytes = 0;
      for (const extents of owners.get(name) ?? [])
        for (const [at, start] of extents.starts.entries())
          if (ownerOf.get(start) === index) bytes += extents.bytes[at] ?? 0;
      return [name, bytes];
    }),
  );
}

/** What of a set is in none of the others. */
export function without(extents: Extents, others: readonly Extents[]): Extents {
  const taken = new Set<number>();
  for (const { starts } of others) for (const start of starts) taken.add(start);
  const kept = [...extents.starts.keys()].filter((at) => !taken.has(extents.starts[at] ?? -1));
  return {
    ...extents,
    starts: Float64Array.from(kept, (at) => extents.starts[at] ?? 0),
    bytes: Float64Array.from(kept, (at) => extents.bytes[at] ?? 0),
  };
}
