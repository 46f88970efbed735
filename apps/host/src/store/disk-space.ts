import { statfs } from 'node:fs/promises';
import { formatBytes } from '@skerry/kit';
import { Problem } from '@skerry/model';

/** What stays free: this much, or this share of a small file system. */
const reserveBytes = 1024 * 1024 * 1024;
const reserveShare = 0.02;

/** What a person can do about a full store. */
export const roomHint =
  'Free some with "skerry snapshot rm", "skerry rm" or "skerry gc", or give the data directory more space; then try again.';

/** Room for new data: of the store, and of the file system that a loop file lies in. */
export class DiskSpace {
  readonly #paths: readonly string[];

  /** `paths`: one in each file system that must not fill up. */
  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** What may still be written before `admit` refuses, in `bytes`; never below 0. */
  async freeBytes(): Promise<number> {
    const rooms = await Promise.all(this.#paths.map(async (path) => roomAboveReserve(await statfs(path))));
    return Math.max(0, Math.min(...rooms));
  }

  /**
   * Throws `exhausted` (disk) when the reserve is touched, or would be by `neededBytes` more. `what` names what was wanted, such as `a new disk`.
   */
  async admit(what: string, neededBytes = 0): Promise<void> {
    const freeBytes = await this.freeBytes();
    if (freeBytes > 0 && freeBytes >= neededBytes) return;
    if (freeBytes > 0)
      throw new Problem(
        'exhausted',
        `Cannot make ${what}: it takes about ${formatBytes(neededBytes)} of disk space, and the host has ${formatBytes(freeBytes)} to give`,
        { reason: 'host_disk_full', exhaustion: 'disk', hint: roomHint },
      );
    throw new Problem(
      'exhausted',
      `Cannot make ${what}: the host keeps its last ${formatBytes(reserveBytes)} of disk space free, and no more is left`,
      {
        reason: 'host_disk_full',
        exhaustion: 'disk',
        hint: roomHint,
      },
    );
  }
}

/** What is free above the reserve, in `bytes`; negative when the reserve is touched. */
export function roomAboveReserve(found: {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
}): number {
  const reserve = Math.min(reserveBytes, found.blocks * found.bsize * reserveShare);
  return Math.floor(found.bavail * found.bsize - reserve);
}
