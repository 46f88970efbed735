import {
  type BootReport,
  type DiskReport,
  type GarbageItem,
  isId,
  type OwnerBlob,
  type SandboxId,
  type SnapshotReport,
} from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import type { Core } from '../../core.ts';

/**
 * Why nobody owns it. `gone`: its sandbox was deleted, and only a crash can have left it · `other_boot`: its sandbox has another boot or none ·
 * `unknown`: the store does not know it. That is not how things end here: a database was lost or is an older one, and `recover` would want it.
 */
export type Ownerless = 'gone' | 'other_boot' | 'unknown';

/** Something that the backend keeps and the store does not explain. */
export interface Lonely {
  readonly item: GarbageItem;
  readonly why: Ownerless;
  remove(): Promise<void>;
}

const reasons: Readonly<Record<Ownerless, string>> = {
  gone: 'Its sandbox was deleted',
  other_boot: 'Its sandbox has another boot or none',
  unknown: 'The database does not know it: it was lost, or is an older one',
};

/** Finds boots, disks and snapshots without an owner, in the order in which they can be removed. */
export async function findOwnerless(core: Core): Promise<readonly Lonely[]> {
  // The backend is asked first: what it lists was recorded in the store before it was made.
  const [disks, boots, snapshots] = [
    await core.backend.listDisks(),
    await core.backend.listBoots(),
    await core.backend.listSnapshots(),
  ];
  const owners = await Owners.read(core);
  const lonely = [
    ...(await Promise.all(boots.map((boot) => lonelyBoot(core, boot, owners)))),
    ...(await Promise.all(disks.map((disk) => lonelyDisk(core, disk, owners)))),
    ...(await Promise.all(snapshots.map((snapshot) => lonelySnapshot(core, snapshot, owners)))),
  ].flat();
  core.lonely.see(lonely.map(({ item }) => item.name));
  return lonely.map((each) => ({ ...each, item: { ...each.item, ageMs: core.lonely.ageMs(each.item.name) } }));
}

/** What the rows of sandboxes want. */
class Owners {
  readonly #sandboxes = new Map<SandboxId, SandboxRecord>();
  readonly disks = new Set<string>();
  readonly snapshots = new Set<string>();
  readonly #core: Core;

  private constructor(core: Core) {
    this.#core = core;
  }

  static async read(core: Core): Promise<Owners> {
    const owners = new Owners(core);
    for (const record of await core.store.sandboxes.listAllLive()) {
      owners.#sandboxes.set(record.id, record);
      owners.disks.add(record.diskId);
      if (record.dropDiskId !== null) owners.disks.add(record.dropDiskId);
      for (const id of [record.pointId, record.oldPointId, record.savingId, record.rollbackTo])
        if (id !== null) owners.snapshots.add(id);
    }
    return owners;
  }

  live(id: SandboxId): SandboxRecord | undefined {
    return this.#sandboxes.get(id);
  }

  async isGone(id: SandboxId): Promise<boolean> {
    return isId('sandbox', id) && (await this.#core.store.sandboxes.find(id))?.observed === 'gone';
  }
}

async function lonelyBoot(core: Core, boot: BootReport, owners: Owners): Promise<readonly Lonely[]> {
  const owner = owners.live(boot.sandboxId);
  if (owner?.bootId === boot.bootId) return [];
  const why = owner !== undefined ? 'other_boot' : (await owners.isGone(boot.sandboxId)) ? 'gone' : 'unknown';
  return [
    {
      why,
      item: {
        kind: 'boot',
        name: boot.bootId,
        reason: reasons[why],
        owner: owner === undefined ? `sandbox ${boot.sandboxId}` : `sandbox "${owner.name}" (${owner.id})`,
        ageMs: 0,
        bootId: boot.bootId,
      },
      remove: () => core.backend.deleteBoot(boot.bootId),
    },
  ];
}

async function lonelyDisk(core: Core, disk: DiskReport, owners: Owners): Promise<readonly Lonely[]> {
  const { diskId } = disk;
  if (owners.disks.has(diskId)) return [];
  // A disk of a live sandbox that its row does not name was not left by us: rows name every disk before it is made.
  const why = (await owners.isGone(disk.sandboxId)) ? 'gone' : 'unknown';
  return [
    {
      why,
      item: {
        kind: 'disk',
        name: diskId,
        reason: reasons[why],
        owner: whose(disk.owner, disk.sandboxId),
        ageMs: 0,
        bytes: disk.usedBytes,
        diskId,
      },
      remove: () => core.backend.deleteDisk(diskId),
    },
  ];
}

async function lonelySnapshot(core: Core, snapshot: SnapshotReport, owners: Owners): Promise<readonly Lonely[]> {
  const { snapshotId } = snapshot;
  if (owners.snapshots.has(snapshotId) || (await core.store.snapshots.find(snapshotId)) !== undefined) return [];
  const { origin } = (snapshot.owner.sandbox['snapshot'] ?? {}) as { readonly origin?: unknown };
  const passing = origin === 'pause' || origin === 'fork' || origin === 'export';
  const why = passing && (await owners.isGone(snapshot.sandboxId)) ? 'gone' : 'unknown';
  return [
    {
      why,
      item: {
        kind: 'snapshot',
        name: snapshotId,
        reason: reasons[why],
        owner: whose(snapshot.owner, snapshot.sandboxId),
        ageMs: 0,
        bytes: snapshot.exclusiveBytes + snapshot.memoryBytes,
        snapshotId,
      },
      remove: () => core.backend.deleteSnapshot(snapshotId),
    },
  ];
}

function whose(owner: OwnerBlob, sandboxId: SandboxId): string {
  const { name } = owner.sandbox;
  return `sandbox ${typeof name === 'string' ? `"${name}" (${sandboxId})` : sandboxId} of project ${owner.project}`;
}
