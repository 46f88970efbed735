import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';

/** A btrfs of its own in a loop file, for roots that are snapshotted as the host does it. */
export interface BtrfsPlace extends AsyncDisposable {
  /** Where it is mounted. */
  readonly directory: string;
  /** Makes a writable snapshot of a subvolume. */
  snapshot(from: string, to: string): Promise<void>;
  /** Flips one bit where this text lies on the device, beneath the file system, and forgets what it had cached. */
  flipBeneath(marker: Buffer): Promise<void>;
}

const mebibyte = 2 ** 20;

export async function makeBtrfsPlace(sizeMiB = 3072): Promise<BtrfsPlace> {
  const outer = await mkdtemp(join(tmpdir(), 'engine-gvisor-btrfs-'));
  const image = join(outer, 'image');
  const directory = join(outer, 'mounted');
  const mount = async (): Promise<void> => {
    await runCommand('mount', ['--options', 'loop,noatime,nosuid,nodev', image, directory]);
  };
  await using file = await open(image, 'wx');
  await file.truncate(sizeMiB * mebibyte);
  await mkdir(directory);
  await runCommand('mkfs.btrfs', ['--quiet', image]);
  await mount();
  return {
    directory,
    snapshot: async (from, to) => {
      await runCommand('btrfs', ['--quiet', 'subvolume', 'snapshot', from, to]);
    },
    flipBeneath: async (marker) => {
      await runCommand('umount', [directory]);
      try {
        const place = await findIn(image, marker);
        await using device = await open(image, 'r+');
        await device.write(Buffer.from([(marker[0] ?? 0) ^ 1]), 0, 1, place);
        await device.sync();
      } finally {
        await mount();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await runCommand('umount', [directory]);
      await rm(outer, { recursive: true });
    },
  };
}

/** The place of the last occurrence; a sparse file is read as what its holes are. */
async function findIn(path: string, marker: Buffer): Promise<number> {
  const out = await runCommand('grep', [
    '--byte-offset',
    '--only-matching',
    '--text',
    '--fixed-strings',
    marker.toString('latin1'),
    path,
  ]);
  const last = out.trim().split('\n').at(-1);
  if (last === undefined) throw new Error('The marker is nowhere on the device');
  return Number(last.split(':')[0]);
}

/** Unpacks of an image archive what a Python program and a shell need, into a fresh subvolume. */
export async function makePythonRoot(archive: string, root: string): Promise<void> {
  await runCommand('btrfs', ['--quiet', 'subvolume', 'create', root]);
  const wanted = ['./bin', './lib', './lib64', './usr/lib64', './usr/bin/python3*', './usr/bin/dash', './usr/bin/sh'];
  const libraries = ['./usr/lib/python3*', './usr/lib/*-linux-gnu/*.so*'];
  const unpack = ['--extract', '--zstd', '--file', archive, '--directory', root, '--numeric-owner', '--wildcards'];
  // An architecture without /lib64 has none in its archive: tar says so and unpacks the rest.
  await runCommand(
    'sh',
    ['-c', 'tar "$@" 2>/dev/null || test -e "$ROOT/usr/bin/python3"', 'tar', ...unpack, ...wanted, ...libraries],
    {
      env: { ...process.env, ROOT: root },
    },
  );
  for (const name of ['etc', 'tmp', 'root', 'proc', 'dev', 'sys']) await mkdir(join(root, name), { recursive: true });
}
