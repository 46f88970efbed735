/** A store with snapshots for the tests of exports, without a daemon and an engine; everything goes away at the end. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLog } from '@skerry/kit';
import { newId, type OwnerBlob, type SnapshotId } from '@skerry/model';
import { Exports } from '../export/exports.ts';
import { btrfsSnapshotFiles } from '../snapshots/snapshot-files.ts';
import type { MemoryFile, SnapshotRecord } from '../snapshots/snapshot-record.ts';
import { Snapshots } from '../snapshots/snapshots.ts';
import { createSubvolume, syncFileSystem } from '../store/btrfs.ts';
import { mountStore, unmountStore } from '../store/store-device.ts';
import { prepareLayout, type StoreLayout, storeLayout } from '../store/store-layout.ts';
import { Trash } from '../store/trash.ts';

export const memoryFormat = { engine: 'fake', build: 'b1', specVersion: 1, cpuFeatures: ['sse4_2'] };
const guestDigest = 'a'.repeat(64);
const log = createLog('test', 'error');

export class ExportPlace implements AsyncDisposable {
  readonly directory: string;
  readonly layout: StoreLayout;
  /** Why the engine cannot bring memory back. */
  notRestorable: string | undefined;
  hasGuest = true;
  #opened: { snapshots: Snapshots; exports: Exports } | undefined;

  private constructor(directory: string) {
    this.directory = directory;
    this.layout = storeLayout(join(directory, 'store'));
  }

  static async make(storeSizeMiB = 1024): Promise<ExportPlace> {
    const place = new ExportPlace(await mkdtemp('/var/tmp/skerry-export-'));
    try {
      await mountStore({ ...place.#device(), storeSizeMiB, log });
      await prepareLayout(place.layout);
      await place.open();
    } catch (error) {
      await place[Symbol.asyncDispose]();
      throw error;
    }
    return place;
  }

  /** Opens it, again if it was open: as after the start of a daemon. */
  async open(): Promise<void> {
    const { layout, directory } = this;
    const sync = (): Promise<void> => syncFileSystem(layout.root);
    const trash = new Trash(layout.trash, layout.root, sync, log);
    const engine = { whyNotRestorable: async () => this.notRestorable, retainBuilds: async () => undefined };
    const hasGuest = async (): Promise<boolean> => this.hasGuest;
    const snapshots = await Snapshots.open({
      directory: layout.snapshots,
      trash,
      files: btrfsSnapshotFiles,
      engine,
      hasGuest,
      space: async () => new Map(),
      log,
    });
    await mkdir(join(directory, 'run'), { recursive: true });
    const exports = await Exports.open({
      keys: { ownKeyFile: join(directory, 'export.key'), trustedDir: join(directory, 'trusted-keys') },
      mountPoint: layout.root,
      runDir: join(directory, 'run'),
      snapshots,
      images: { list: () => [] },
      space: { admit: async () => undefined },
      engine,
      hasGuest,
      sync,
      log,
    });
    this.#opened = { snapshots, exports };
  }

  get snapshots(): Snapshots {
    if (this.#opened === undefined) throw new Error('The place is not open');
    return this.#opened.snapshots;
  }

  get exports(): Exports {
    if (this.#opened === undefined) throw new Error('The place is not open');
    return this.#opened.exports;
  }

  /** Makes a snapshot of a tree that `fill` makes, with memory files of this content. */
  async snapshot(
    fill: (root: string) => Promise<void>,
    memory?: Readonly<Record<string, Buffer>>,
  ): Promise<SnapshotId> {
    const snapshotId = newId('snapshot');
    const source = join(this.layout.disks, snapshotId);
    await createSubvolume(source);
    await fill(source);
    const draft = await this.snapshots.begin(snapshotId);
    await draft.copyTree(source);
    let files: MemoryFile[] = [];
    if (memory !== undefined) {
      await draft.makeMemoryDirectory();
      for (const [name, content] of Object.entries(memory)) await writeFile(join(draft.memoryDirectory, name), content);
      files = await draft.sealMemory();
    }
    const record: SnapshotRecord = {
      formatVersion: 1,
      snapshotId,
      sandboxId: newId('sandbox'),
      kind: memory === undefined ? 'disk' : 'memory',
      origin: 'user',
      image: 'tiny',
      imageKey: '0123456789abcdef',
      sizeMiB: 256,
      inheritedBytes: 0,
      createdAtMs: 2,
      savedAtMs: 1,
      ...(memory === undefined
        ? {}
        : {
            memory: {
              format: memoryFormat,
              engine: { name: 'fake', version: '1', build: 'b1', isolation: 'gvisor' },
              guestDigest,
              cpus: 1,
              memoryMiB: 64,
              files,
            },
          }),
      owner: testOwner,
    };
    await draft.publish(record);
    return snapshotId;
  }

  /** What lies where snapshots do. */
  async entries(): Promise<string[]> {
    return (await readdir(this.layout.snapshots)).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await unmountStore(this.#device());
    await rm(this.directory, { recursive: true, force: true });
  }

  #device(): { storeDir: string; storeImage: string } {
    return { storeDir: this.layout.root, storeImage: join(this.directory, 'store.img') };
  }
}

export const testOwner: OwnerBlob = {
  version: 1,
  project: 'pj',
  sandbox: { name: 'box', env: { KEY: 'hush' }, accessToken: 'hush', nested: [{ apiKey: 'hush', kept: 1 }] },
};
