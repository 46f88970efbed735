/**
 * What snapshots take, by extents: quotas count for the subvolume that wrote something, however many share it now, so that they tell nothing of a
 * snapshot. A snapshot does not change, so that it is read once; a disk is read again when it has changed.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFields, type Log } from '@skerry/kit';
import type { SnapshotId } from '@skerry/model';
import { listSubvolumes, type Subvolume } from '../store/btrfs.ts';
import { type Extents, findExtents } from '../store/extents.ts';
import { recordedSpace } from './recorded-space.ts';
import { countSharing, without } from './sharing.ts';
import type { SnapshotRecord } from './snapshot-record.ts';
import type { SnapshotSpace } from './snapshots.ts';

export interface SpaceOptions {
  /** Mount point of the store. */
  readonly storeDir: string;
  /** `snapshots` of the store. */
  readonly directory: string;
  readonly log: Log;
}

/** A measurement is as good as new for so long, or for twenty times what it took. */
const freshMs = 10_000;
const restFactor = 20;

interface Tree {
  readonly subvolume: Subvolume;
  /** Such as `snapshots/sn…` or `disks/dk…`. */
  readonly owner: string;
  /** Beyond the image. */
  readonly own: Extents;
}

export class SnapshotSpaces {
  readonly #options: SpaceOptions;
  /** Extents beyond the image, by subvolume id; those of a disk are good for one generation. */
  readonly #trees = new Map<number, { readonly generation: number; readonly own: Extents }>();
  /** Extents of images, by subvolume id. */
  readonly #images = new Map<number, Extents>();
  /** Extents of memory files, by snapshot. */
  readonly #memories = new Map<SnapshotId, readonly Extents[]>();
  #spaces: ReadonlyMap<SnapshotId, SnapshotSpace> = new Map();
  #freshUntilMs = 0;
  #measuring: Promise<void> | undefined;

  constructor(options: SpaceOptions) {
    this.#options = options;
  }

  /**
   * Space of these snapshots. One that was just made is not waited for: it shares all files with its disk, and its memory is its own. `all` are those that
   * there are.
   */
  async of(
    records: readonly SnapshotRecord[],
    all: readonly SnapshotRecord[],
  ): Promise<ReadonlyMap<SnapshotId, SnapshotSpace>> {
    const nowMs = Date.now();
    const isYoung = (record: SnapshotRecord): boolean => nowMs - record.createdAtMs < freshMs;
    if (nowMs > this.#freshUntilMs && records.some((record) => !isYoung(record))) await this.#measure(all);
    return new Map([
      ...(await recordedSpace(records)),
      ...records.flatMap(({ snapshotId }) => {
        const space = this.#spaces.get(snapshotId);
        return space === undefined ? [] : [[snapshotId, space] as const];
      }),
    ]);
  }

  /** Forgets nothing that is known when it fails: figures for people must not fail what they are asked for with. */
  async #measure(all: readonly SnapshotRecord[]): Promise<void> {
    this.#measuring ??= (async () => {
      const begunMs = Date.now();
      try {
        this.#spaces = await this.#read(all);
      } catch (error) {
        this.#options.log.warn('The space of snapshots cannot be measured', errorFields(error));
      } finally {
        const tookMs = Date.now() - begunMs;
        this.#freshUntilMs = Date.now() + Math.max(freshMs, tookMs * restFactor);
        this.#measuring = undefined;
      }
    })();
    await this.#measuring;
  }

  async #read(all: readonly SnapshotRecord[]): Promise<ReadonlyMap<SnapshotId, SnapshotSpace>> {
    const subvolumes = await listSubvolumes(this.#options.storeDir);
    const trees = await this.#readTrees(subvolumes);
    const owners = new Map<string, Extents[]>();
    for (const { owner, own } of trees) owners.set(owner, [own]);
    for (const record of all) {
      const owned = owners.get(`snapshots/${record.snapshotId}`);
      // Deleted meanwhile, or too new.
      if (owned === undefined) continue;
      owned.push(...(await this.#readMemory(record)));
    }
    this.#forget(subvolumes, all);
    const exclusive = countSharing(owners);
    return new Map(
      trees.flatMap(({ owner, own }) => {
        const [, snapshotId] = /^snapshots\/(.*)$/.exec(owner) ?? [];
        if (snapshotId === undefined) return [];
        const diskBytes = sum(own.bytes) + own.inlineBytes;
        return [[snapshotId as SnapshotId, { diskBytes, exclusiveBytes: exclusive.get(owner) ?? 0 }] as const];
      }),
    );
  }

  /** Every disk and snapshot with what it has beyond its image. */
  async #readTrees(subvolumes: readonly Subvolume[]): Promise<Tree[]> {
    const byUuid = new Map(subvolumes.map((subvolume) => [subvolume.uuid, subvolume]));
    const trees: Tree[] = [];
    for (const subvolume of subvolumes) {
      const [, owner] = /(?:^|\/)((?:snapshots|disks)\/[a-z0-9]+)\/root$/.exec(subvolume.path) ?? [];
      if (owner === undefined) continue;
      const known = this.#trees.get(subvolume.id);
      // A snapshot's generation moves when it is copied; its files never do.
      const isKnown =
        known !== undefined && (owner.startsWith('snapshots/') || known.generation === subvolume.generation);
      const own = isKnown ? known.own : await this.#readTree(subvolume, byUuid, subvolumes);
      if (own === undefined) continue;
      if (!isKnown) this.#trees.set(subvolume.id, { generation: subvolume.generation, own });
      trees.push({ subvolume, owner, own });
    }
    return trees;
  }

  /** `undefined` when it was deleted meanwhile. */
  async #readTree(
    subvolume: Subvolume,
    byUuid: ReadonlyMap<string, Subvolume>,
    subvolumes: readonly Subvolume[],
  ): Promise<Extents | undefined> {
    try {
      const image = ancestorImage(subvolume, byUuid);
      const search = { directory: this.#options.storeDir, subvolumeId: subvolume.id };
      if (image !== undefined) {
        const base = await this.#readImage(image);
        // Whatever is newer than all of the image is not in it: most of the tree need not be read.
        return await findExtents({ ...search, sinceGeneration: base.generation + 1 });
      }
      // The way to the image is lost, with a snapshot in between: what any image has is taken away.
      const images = subvolumes.filter(isImage);
      return without(await findExtents(search), await Promise.all(images.map((base) => this.#readImage(base))));
    } catch (error) {
      const still = (await listSubvolumes(this.#options.storeDir)).some(({ id }) => id === subvolume.id);
      if (still) throw error;
      return undefined;
    }
  }

  async #readImage(image: Subvolume): Promise<Extents> {
    const known = this.#images.get(image.id);
    if (known !== undefined) return known;
    const extents = await findExtents({ directory: this.#options.storeDir, subvolumeId: image.id });
    this.#images.set(image.id, extents);
    return extents;
  }

  async #readMemory({ snapshotId, memory }: SnapshotRecord): Promise<readonly Extents[]> {
    const known = this.#memories.get(snapshotId);
    if (known !== undefined) return known;
    const directory = join(this.#options.directory, snapshotId, 'memory');
    const found: Extents[] = [];
    for (const { name } of memory?.files ?? [])
      found.push(await findExtents({ directory, inode: (await stat(join(directory, name))).ino }));
    this.#memories.set(snapshotId, found);
    return found;
  }

  #forget(subvolumes: readonly Subvolume[], all: readonly SnapshotRecord[]): void {
    const ids = new Set(subvolumes.map(({ id }) => id));
    for (const known of [this.#trees, this.#images]) for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
    const snapshots = new Set(all.map(({ snapshotId }) => snapshotId));
    for (const id of this.#memories.keys()) if (!snapshots.has(id)) this.#memories.delete(id);
  }
}

function isImage({ path }: Subvolume): boolean {
  return /(?:^|\/)images\/[a-z0-9-]+\/root$/.test(path);
}

/** The image that a tree descends from, if every step to it is still there. */
function ancestorImage(subvolume: Subvolume, byUuid: ReadonlyMap<string, Subvolume>): Subvolume | undefined {
  const seen = new Set<number>();
  for (
    let at: Subvolume | undefined = subvolume;
    at !== undefined && !seen.has(at.id);
    at = byUuid.get(at.parentUuid)
  ) {
    if (isImage(at)) return at;
    seen.add(at.id);
  }
  return undefined;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
