import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLog } from '@skerry/kit';
import { newId, type SnapshotId } from '@skerry/model';
import { createSubvolume, deleteSubvolumes, setReadOnly, snapshotSubvolume, syncFileSystem } from '../store/btrfs.ts';
import { ExportPlace } from '../testing/export-place.ts';
import { SnapshotSpaces } from './space.ts';
import type { SnapshotSpace } from './snapshots.ts';

const MiB = 1024 * 1024;
let place: ExportPlace;
let disk: string;
before(async () => {
  place = await ExportPlace.make();
  const image = join(place.layout.images, 'tiny-0123456789abcdef/root');
  await mkdir(join(image, '..'));
  await createSubvolume(image);
  await write(join(image, 'base'), 5);
  await setReadOnly(image, true);
  await mkdir(join(place.layout.disks, 'dk1'));
  disk = join(place.layout.disks, 'dk1/root');
  await snapshotSubvolume(image, disk);
});
after(async () => {
  await place[Symbol.asyncDispose]();
});

async function write(path: string, mebibytes: number): Promise<void> {
  await writeFile(path, randomBytes(mebibytes * MiB));
}
async function take(memory?: Readonly<Record<string, Buffer>>, source = disk): Promise<SnapshotId> {
  const id = await place.snapshot(async () => undefined, memory);
  await deleteSubvolumes([join(place.layout.snapshots, id, 'root')]);
  await snapshotSubvolume(source, join(place.layout.snapshots, id, 'root'), { readOnly: true });
  return id;
}
async function measure(): Promise<(id: SnapshotId) => SnapshotSpace | undefined> {
  await syncFileSystem(place.layout.root);
  const spaces = new SnapshotSpaces({
    storeDir: place.layout.root,
    directory: place.layout.snapshots,
    log: createLog('test'),
  });
  const records = place.snapshots.list();
  const found = await spaces.of(records, records);
  // What is known already gives the same.
  assert.deepEqual(await spaces.of(records, records), found);
  return (id) => found.get(id);
}

test('of() tells what a snapshot has beyond the image, and what its deletion would free', async () => {
  await write(join(disk, 'a'), 3);
  const first = await take({ 'pages.img': randomBytes(2 * MiB) });
  let space = await measure();
  assert.deepEqual(space(first), { diskBytes: 3 * MiB, exclusiveBytes: 2 * MiB });
  await rm(join(disk, 'a'));
  await write(join(disk, 'b'), 1);
  const second = await take();
  space = await measure();
  assert.deepEqual(space(first), { diskBytes: 3 * MiB, exclusiveBytes: 5 * MiB });
  assert.deepEqual(space(second), { diskBytes: 1 * MiB, exclusiveBytes: 0 });
  // A disk that was made from the first holds its files again.
  await mkdir(join(place.layout.disks, 'dk2'));
  const fork = join(place.layout.disks, 'dk2/root');
  await snapshotSubvolume(join(place.layout.snapshots, first, 'root'), fork);
  space = await measure();
  assert.deepEqual(space(first), { diskBytes: 3 * MiB, exclusiveBytes: 2 * MiB });
  // With the step to the image gone, the image's files are still not counted.
  await place.snapshots.delete(first);
  await write(join(fork, 'c'), 2);
  const third = await take(undefined, fork);
  space = await measure();
  assert.deepEqual(space(third), { diskBytes: 5 * MiB, exclusiveBytes: 0 });
  await deleteSubvolumes([fork]);
  space = await measure();
  assert.deepEqual(space(third), { diskBytes: 5 * MiB, exclusiveBytes: 5 * MiB });
  for (const id of [second, third]) await place.snapshots.delete(id);
});

test('of() counts an extent whole as long as a part of it is used, for that is what deletion would free, and a hole not at all', async () => {
  await write(join(disk, 'd'), 4);
  await syncFileSystem(place.layout.root);
  const file = await open(join(disk, 'd'), 'r+');
  await file.write(randomBytes(MiB), 0, MiB, MiB);
  await file.truncate(400 * MiB);
  await file.close();
  const id = await take();
  const space = await measure();
  assert.equal(space(id)?.diskBytes, 6 * MiB);
  await place.snapshots.delete(id);
});

test('of() does not wait for a snapshot that was just made, and knows one that was not recorded', async () => {
  const spaces = new SnapshotSpaces({ storeDir: '/nowhere', directory: '/nowhere', log: createLog('test', 'error') });
  const record = {
    ...place.snapshots.get(await take({ 'pages.img': randomBytes(MiB) })),
    inheritedBytes: 7,
    snapshotId: newId('snapshot'),
  };
  const young = { ...record, createdAtMs: Date.now() };
  assert.deepEqual([...(await spaces.of([young], [young])).values()], [{ diskBytes: 7, exclusiveBytes: MiB }]);
});
