import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog, runCommand, tryCommand } from '@skerry/kit';
import { ImageStore } from '../images/image-store.ts';
import { makeTinyImage } from '../testing/tiny-image.ts';
import { createSubvolume, deleteSubvolumes, limitSubvolume, snapshotSubvolume, syncFileSystem } from './btrfs.ts';
import { findMount } from './mounts.ts';
import { mountStore, unmountStore } from './store-device.ts';
import { Trash } from './trash.ts';

const log = createLog('test', 'error');

/** A place for stores; whatever is mounted in it goes away with it. */
class Place implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<Place> {
    return new Place(await mkdtemp(join(tmpdir(), 'skerry-store-')));
  }

  store(name: string, storeSizeMiB = 256) {
    return { storeDir: join(this.directory, name), storeImage: join(this.directory, `${name}.img`), storeSizeMiB, log };
  }

  async loops(): Promise<string[]> {
    const listing = await runCommand('losetup', ['--noheadings', '--raw', '--output', 'NAME,BACK-FILE']);
    return listing.split('\n').filter((line) => line.includes(this.directory));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
    for (const mount of mounts.filter((path) => path.startsWith(this.directory)).reverse())
      await tryCommand('umount', [mount]);
    for (const line of await this.loops()) await tryCommand('losetup', ['--detach', line.split(' ')[0] ?? '']);
    await rm(this.directory, { recursive: true, force: true });
  }
}

test('mountStore() makes a store once, keeps what is in it, and its loop device goes with the mount', async () => {
  await using place = await Place.make();
  const store = place.store('a');
  await mountStore(store);
  await writeFile(join(store.storeDir, 'kept'), 'kept');
  await mountStore(store);
  assert.equal((await place.loops()).length, 1);
  const options =
    (await readFile('/proc/self/mounts', 'utf8')).split('\n').find((line) => line.includes(store.storeDir)) ?? '';
  for (const option of ['nosuid', 'nodev', 'noatime']) assert.ok(options.includes(option), option);
  await unmountStore(store);
  await unmountStore(store);
  assert.deepEqual(await place.loops(), []);
  await mountStore(store);
  assert.equal(await readFile(join(store.storeDir, 'kept'), 'utf8'), 'kept');
});

test('mountStore() goes on after a kill while it made the image, between loop device and mount, and after the mount', async () => {
  await using place = await Place.make();
  const store = place.store('a');
  await writeFile(`${store.storeImage}.new`, 'half a file system');
  await mountStore(store);
  await unmountStore(store);
  await runCommand('losetup', ['--find', store.storeImage]);
  await mountStore(store);
  assert.equal((await place.loops()).length, 1);
  await unmountStore(store);
  const device = (await runCommand('losetup', ['--find', '--show', store.storeImage])).trim();
  await runCommand('mount', ['-t', 'btrfs', device, store.storeDir]);
  await mountStore(store);
  await unmountStore(store);
  assert.deepEqual(await place.loops(), []);
});

test('mountStore() grows a store, and two stores live side by side', async () => {
  await using place = await Place.make();
  const [first, second] = [place.store('a'), place.store('b')];
  await mountStore(first);
  await mountStore(second);
  const before = (await stat(first.storeImage)).size;
  await mountStore({ ...first, storeSizeMiB: 512 });
  assert.equal((await stat(first.storeImage)).size, before * 2);
  const free = await runCommand('findmnt', ['--noheadings', '--bytes', '--output', 'SIZE', first.storeDir]);
  assert.equal(Number(free), before * 2);
  await unmountStore(first);
  assert.ok((await findMount(second.storeDir)) !== undefined);
});

test('mountStore() refuses a mount point on which something else is mounted', async () => {
  await using place = await Place.make();
  const store = place.store('a');
  await mkdir(store.storeDir);
  await runCommand('mount', ['-t', 'tmpfs', 'tmpfs', store.storeDir]);
  await assert.rejects(mountStore(store), { reason: 'store_mount_point_taken' });
});

test('mountStore() uses a directory when the data directory lies on btrfs, with limits that hold', async () => {
  await using place = await Place.make();
  const outer = place.store('outer');
  await mountStore(outer);
  const store = { ...outer, storeDir: join(outer.storeDir, 'store'), storeImage: join(outer.storeDir, 'store.img') };
  await mountStore(store);
  await mountStore(store);
  await assert.rejects(stat(store.storeImage));
  await createSubvolume(join(store.storeDir, 'origin'));
  await snapshotSubvolume(join(store.storeDir, 'origin'), join(store.storeDir, 'disk'));
  await limitSubvolume(join(store.storeDir, 'disk'), 4 * 1024 * 1024);
  const file = await open(join(store.storeDir, 'disk/full'), 'w');
  try {
    await assert.rejects(
      file.writeFile(Buffer.alloc(16 * 1024 * 1024, 1)).then(() => file.sync()),
      { errno: -122 },
    );
  } finally {
    await file.close();
  }
  await unmountStore(store);
  assert.equal(await findMount(store.storeDir), undefined);
  await unmountStore(outer);
});

test('open() of images unpacks each once, goes on after a kill, and removes what a newer one replaces while disks of it live on', async () => {
  await using place = await Place.make();
  const store = place.store('a');
  await mountStore(store);
  const [images, bin] = [join(store.storeDir, 'images'), join(store.storeDir, 'trash')];
  await mkdir(images);
  await mkdir(bin);
  const trash = new Trash(bin, store.storeDir, () => syncFileSystem(store.storeDir), log);
  const first = await makeTinyImage(place.directory);
  await mkdir(join(images, '.new-halfmade'));
  await createSubvolume(join(images, '.new-halfmade/root'));
  const opened = await ImageStore.open(images, [first], trash, log);
  await trash.settled('.new-halfmade');
  await assert.rejects(stat(join(images, '.new-halfmade')));
  const { root } = opened.get('tiny');
  await assert.rejects(writeFile(join(root, 'x'), 'x'), { code: 'EROFS' });
  await snapshotSubvolume(root, join(store.storeDir, 'disk'));
  const second = await makeTinyImage(place.directory);
  const reopened = await ImageStore.open(images, [second], trash, log);
  await trash.settled(`tiny-${first.key}`);
  await assert.rejects(stat(root));
  assert.notEqual(reopened.get('tiny').root, root);
  assert.match(await readFile(join(store.storeDir, 'disk/etc/passwd'), 'utf8'), /^root:/);
  assert.throws(() => reopened.get('other'), { code: 'not_found' });
  await deleteSubvolumes([join(store.storeDir, 'disk')]);
  await unmountStore(store);
});
