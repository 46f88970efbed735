import type { DiskRecord } from './disk-record.ts';

export const bytesPerMiB: number = 1024 * 1024;
/** What a disk may always write, even when what it inherited fills its size: without it nothing in it could so much as be deleted. */
const leastBytes = 16 * bytesPerMiB;

/** What a disk's own subvolume may hold, in `bytes`: its files that a snapshot holds as well are not counted by the file system. */
export function diskLimitBytes(record: Pick<DiskRecord, 'sizeMiB' | 'inheritedBytes'>): number {
  const wantedBytes = record.sizeMiB * bytesPerMiB;
  const { inheritedBytes = 0 } = record;
  return inheritedBytes === 0 ? wantedBytes : Math.max(leastBytes, wantedBytes - inheritedBytes);
}
