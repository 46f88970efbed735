import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand } from '@skerry/kit';
import { newId } from '@skerry/model';
import { createSubvolume, snapshotSubvolume } from '../store/btrfs.ts';
import { ExportPlace } from '../testing/export-place.ts';
import { compareDisks } from './compare.ts';
import { collectDiff, diffTrees } from './diff-trees.ts';

let place: ExportPlace;
before(async () => {
  place = await ExportPlace.make();
});
after(async () => {
  await place[Symbol.asyncDispose]();
});

const disk = newId('disk');
const rootOf = (): string => join(place.layout.disks, disk, 'root');
const parts = () => ({
  storeDir: place.layout.root,
  disks: { get: () => ({}) as never, rootOf },
  snapshots: { rootOf: (id: string) => join(place.layout.snapshots, id, 'root'), use: () => () => undefined },
});

test('compareDisks() of 20,000 files tells a change of each kind, also one that keeps size and times, and says how long it took', async (context) => {
  await createSubvolume(join(place.layout.images, 'image'));
  await mkdir(join(place.layout.disks, disk));
  await snapshotSubvolume(join(place.layout.images, 'image'), rootOf());
  await runCommand(
    'sh',
    ['-c', 'for d in $(seq 200); do mkdir $d; for f in $(seq 100); do echo $d $f > $d/$f; done; done'],
    { cwd: rootOf() },
  );
  // As old as files usually are: those of the last minute are read.
  const snapshotId = newId('snapshot');
  await mkdir(join(place.layout.snapshots, snapshotId));
  await snapshotSubvolume(rootOf(), join(place.layout.snapshots, snapshotId, 'root'), { readOnly: true });
  const old = join(place.layout.snapshots, snapshotId, 'root');
  await writeFile(join(rootOf(), '7/7'), 'x x\n');
  await runCommand('touch', ['--reference', join(old, '7/7'), join(rootOf(), '7/7')]);
  await chmod(join(rootOf(), '8/8'), 0o600);
  await rm(join(rootOf(), '9/9'));
  await writeFile(join(rootOf(), '10/new'), 'new');
  const expected = [
    { change: 'added', path: '/10/new', type: 'file', bytes: 3 },
    { change: 'changed', path: '/7/7', type: 'file', bytes: 4 },
    { change: 'changed', path: '/8/8', type: 'file', bytes: 4 },
    { change: 'deleted', path: '/9/9', type: 'file', bytes: 4 },
  ];
  const begun = performance.now();
  assert.deepEqual(await compareDisks(parts(), { snapshotId }, { diskId: disk }, 100), {
    changes: expected,
    truncated: false,
  });
  const read = performance.now();
  // The same as if all files were old when the ways parted.
  const quick = await collectDiff(diffTrees(old, rootOf(), { oneUntilMs: Date.now() + 3_600_000 }), 100);
  context.diagnostic(
    `20,000 files: ${Math.round(read - begun)} ms when all are read, ${Math.round(performance.now() - read)} ms when none has to be`,
  );
  assert.deepEqual(quick.changes, expected);
  assert.deepEqual((await compareDisks(parts(), { snapshotId }, { snapshotId }, 100)).changes, []);
});
