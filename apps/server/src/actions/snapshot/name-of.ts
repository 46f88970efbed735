import type { SnapshotRecord } from '@skerry/store';

/** What people call a snapshot: its name, or its id. */
export function nameOf({ name, id }: Pick<SnapshotRecord, 'name' | 'id'>): string {
  return name ?? id;
}
