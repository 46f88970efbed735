/** What the host holds and no record explains: reported first, removed when it is old enough. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Engine } from '@skerry/engine';
import { errorFields, type Log } from '@skerry/kit';
import { type BootId, type GarbageItem, isId } from '@skerry/model';
import type { Boots } from '../boots/boots.ts';
import type { Disks } from '../disks/disks.ts';
import type { Network } from '../network/network.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { StoreLayout } from '../store/store-layout.ts';
import type { Trash } from '../store/trash.ts';

export interface GarbageParts {
  readonly layout: StoreLayout;
  readonly boots: Boots;
  readonly disks: Disks;
  readonly snapshots: Pick<Snapshots, 'knows' | 'isUnreadable'>;
  readonly engine: Engine;
  readonly network: Network;
  readonly trash: Trash;
  readonly log: Log;
}

/** It may be whole, and of another version of Skerry: it is told of, and stays until somebody deletes it by its id. */
const unreadable = 'its record is not readable: it stays until it is deleted by its id';

export class Garbage {
  readonly #parts: GarbageParts;
  readonly #firstSeenMs = new Map<string, number>();

  constructor(parts: GarbageParts) {
    this.#parts = parts;
  }

  async list(): Promise<GarbageItem[]> {
    const [store, runtime, network] = await Promise.all([
      this.#inStore(),
      this.#inEngine(),
      this.#parts.network.garbage(),
    ]);
    return [...store, ...runtime, ...network];
  }

  /** Removes what has been garbage for `minAgeMs`; says what was removed. */
  async collect(minAgeMs: number): Promise<GarbageItem[]> {
    const removed: GarbageItem[] = [];
    for (const item of await this.list()) {
      if (item.ageMs < minAgeMs || item.reason === unreadable) continue;
      try {
        await this.#remove(item);
        removed.push(item);
      } catch (error) {
        this.#parts.log.error('Garbage cannot be removed', { ...item, ...errorFields(error) });
      }
    }
    if (removed.length > 0)
      this.#parts.log.info('Removed what nobody owned', { items: removed.map(({ kind, name }) => `${kind} ${name}`) });
    return removed;
  }

  /**
   * Removes what an earlier daemon had made ready or half made in the kernel. Called once every record has been read: no boot of this daemon
   * can be meant, so no age is waited for.
   */
  async collectLeftovers(): Promise<void> {
    const { engine, layout, log, network } = this.#parts;
    const [runtime, kernel, store] = await Promise.all([this.#inEngine(), network.garbage(), this.#inStore()]);
    // The record of a boot is not synced: a power failure may leave a directory without it, and nothing that runs.
    const lost = store.filter(({ kind }) => kind === 'boot');
    if (runtime.length + kernel.length + lost.length === 0) return;
    log.info('Removing what an earlier daemon left', {
      items: [...runtime, ...kernel, ...lost].map(({ kind, name }) => `${kind} ${name}`),
    });
    for (const { bootId } of runtime) if (bootId !== undefined) await engine.remove(bootId, join(layout.boots, bootId));
    for (const item of [...kernel, ...lost]) await this.#remove(item);
  }

  async #inStore(): Promise<GarbageItem[]> {
    const { layout, boots, disks, snapshots, trash } = this.#parts;
    const items: GarbageItem[] = [];
    for (const name of await readdir(layout.boots)) {
      if (boots.knows(name)) continue;
      const bootId = isId('boot', name) ? { bootId: name } : {};
      items.push({
        kind: 'boot',
        name,
        reason: 'no boot has this record',
        ageMs: await ageOf(join(layout.boots, name)),
        ...bootId,
      });
    }
    for (const name of await readdir(layout.disks)) {
      if (isId('disk', name) && disks.knows(name)) continue;
      const diskId = isId('disk', name) ? { diskId: name } : {};
      items.push({
        kind: 'disk',
        name,
        reason: 'it was never finished',
        ageMs: await ageOf(join(layout.disks, name)),
        ...diskId,
      });
    }
    for (const name of await readdir(layout.snapshots)) {
      if (snapshots.knows(name)) continue;
      const snapshotId = isId('snapshot', name) ? { snapshotId: name } : {};
      items.push({
        kind: 'snapshot',
        name,
        reason: snapshots.isUnreadable(name) ? unreadable : 'it was never finished',
        ageMs: await ageOf(join(layout.snapshots, name)),
        ...snapshotId,
      });
    }
    for (const name of await readdir(layout.logs)) {
      if (isId('disk', name) && disks.knows(name)) continue;
      items.push({
        kind: 'directory',
        name: `logs/${name}`,
        reason: 'no disk has these logs',
        ageMs: await ageOf(join(layout.logs, name)),
      });
    }
    for (const name of await readdir(layout.trash)) {
      if (trash.erasing(name)) continue;
      items.push({
        kind: 'directory',
        name: `trash/${name}`,
        reason: 'its deletion was interrupted',
        ageMs: await ageOf(join(layout.trash, name)),
      });
    }
    return items;
  }

  async #inEngine(): Promise<GarbageItem[]> {
    const { boots, engine } = this.#parts;
    const now = Date.now();
    const unowned = (await engine.list()).filter((bootId) => !boots.knows(bootId));
    for (const bootId of this.#firstSeenMs.keys())
      if (!unowned.includes(bootId as BootId)) this.#firstSeenMs.delete(bootId);
    return unowned.map((bootId) => {
      const since = this.#firstSeenMs.get(bootId) ?? now;
      this.#firstSeenMs.set(bootId, since);
      return {
        kind: 'runtime',
        name: bootId,
        reason: 'the engine runs it and no record knows it',
        ageMs: now - since,
        bootId,
      };
    });
  }

  async #remove(item: GarbageItem): Promise<void> {
    const { boots, disks, snapshots, engine, layout, network, trash } = this.#parts;
    switch (item.kind) {
      case 'runtime':
        if (item.bootId !== undefined && !boots.knows(item.bootId))
          await engine.remove(item.bootId, join(layout.boots, item.bootId));
        return;
      case 'boot': {
        if (boots.knows(item.name)) return;
        if (item.bootId !== undefined) await engine.remove(item.bootId, join(layout.boots, item.bootId));
        await discard(trash, join(layout.boots, item.name));
        return;
      }
      case 'disk':
        if (item.diskId !== undefined && disks.knows(item.diskId)) return;
        await discard(trash, join(layout.disks, item.name));
        return;
      case 'snapshot':
        if (!snapshots.knows(item.name)) await discard(trash, join(layout.snapshots, item.name));
        return;
      case 'directory': {
        const [place, name = ''] = item.name.split('/');
        if (place === 'trash') await trash.erase(name);
        else if (!(isId('disk', name) && disks.knows(name))) await discard(trash, join(layout.logs, name));
        return;
      }
      default:
        await network.removeGarbage(item);
    }
  }
}

async function discard(trash: Trash, path: string): Promise<void> {
  const name = await trash.take(path);
  if (name !== undefined) await trash.erase(name);
}

async function ageOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? 0 : Math.max(0, Date.now() - found.mtimeMs);
}
