import { readQuotas, type SubvolumeQuota } from '../store/btrfs.ts';

const freshMs = 1000;

/** What each disk uses, read for all of them at once and at most once a second. */
export class DiskUsage {
  readonly #mountPoint: string;
  #read: Promise<ReadonlyMap<string, SubvolumeQuota>> | undefined;
  #readAtMs = 0;

  constructor(mountPoint: string) {
    this.#mountPoint = mountPoint;
  }

  /** By disk id. A disk that is too new to be in it uses nothing yet. */
  async byDisk(): Promise<ReadonlyMap<string, SubvolumeQuota>> {
    if (this.#read === undefined || Date.now() - this.#readAtMs > freshMs) {
      this.#readAtMs = Date.now();
      const read = readQuotas(this.#mountPoint).then(indexByDisk);
      this.#read = read;
      read.catch(() => {
        if (this.#read === read) this.#read = undefined;
      });
    }
    return this.#read;
  }

  /** Makes the next `byDisk` read anew. */
  expire(): void {
    this.#read = undefined;
  }
}

/** Finds the disks among all subvolumes: their paths end in `disks/<id>/root`. */
export function indexByDisk(quotas: readonly SubvolumeQuota[]): ReadonlyMap<string, SubvolumeQuota> {
  const found = new Map<string, SubvolumeQuota>();
  for (const quota of quotas) {
    const [, diskId] = /(?:^|\/)disks\/([a-z0-9]+)\/root$/.exec(quota.path) ?? [];
    if (diskId !== undefined) found.set(diskId, quota);
  }
  return found;
}
