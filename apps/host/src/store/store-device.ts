/** Brings the btrfs store to its mount point, and takes it away. Both may be killed anywhere and repeated. */
import { mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Log, runCommand, syncDirectory, tryCommand } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { enableSimpleQuotas, growToDevice } from './btrfs.ts';
import { findMount } from './mounts.ts';
import { isMissing } from './missing.ts';

export interface StoreDeviceOptions {
  readonly storeDir: string;
  readonly storeImage: string;
  readonly storeSizeMiB: number;
  readonly log: Log;
}

const btrfsMagic = 0x9123683e;
/** Deleted data is given back to the outer file system at each commit, so that a deletion that was reported leaves no readable trace. */
const mountOptions = 'nosuid,nodev,noatime,discard=sync';

/** Mounts the store at `storeDir`, making it first when there is none. On btrfs the store is a directory of it, otherwise a loop file. */
export async function mountStore(options: StoreDeviceOptions): Promise<void> {
  const { storeDir, storeImage, log } = options;
  await mkdir(storeDir, { recursive: true, mode: 0o700 });
  const mounted = await findMount(storeDir);
  if (mounted !== undefined && mounted.type !== 'btrfs')
    throw new Problem(
      'precondition_failed',
      `"${storeDir}" is the mount point of a ${mounted.type}, not of Skerry's store`,
      {
        reason: 'store_mount_point_taken',
        hint: `Unmount "${storeDir}", or choose another data directory.`,
      },
    );
  if (await isBtrfs(dirname(storeDir))) {
    if (mounted === undefined) await bindDirectory(storeDir);
  } else {
    await makeImage(options);
    if (mounted === undefined) await mountImage(storeImage, storeDir);
    await settleLoop(storeImage);
    await growImage(options);
  }
  await enableSimpleQuotas(storeDir);
  log.info('The store is mounted', { storeDir });
}

/** Unmounts the store; its loop device goes with it. Not mounted is fine. */
export async function unmountStore(options: Pick<StoreDeviceOptions, 'storeDir' | 'storeImage'>): Promise<void> {
  for (let attempt = 0; (await findMount(options.storeDir)) !== undefined; attempt++) {
    const result = await tryCommand('umount', [options.storeDir]);
    if (result.status === 0) continue;
    // Processes that were just killed hold their files for some more milliseconds.
    if (attempt >= 100)
      throw new Problem('conflict', `The store at "${options.storeDir}" is in use: ${result.stderr.trim()}`, {
        reason: 'store_in_use',
      });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // The kernel lets go of a device a moment after its last user, such as a program that ended with a mount of its own. One that another
  // program's mount namespace still shows is marked, and freed with that namespace.
  for (let attempt = 0; attempt < 40; attempt++) {
    const devices = await loopDevices(options.storeImage);
    if (devices.length === 0) return;
    for (const device of devices) await tryCommand('losetup', ['--detach', device]);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether the store is a loop file, whose outer file system can fill up too. */
export async function isLoopStore(storeDir: string): Promise<boolean> {
  return !(await isBtrfs(dirname(storeDir)));
}

async function isBtrfs(path: string): Promise<boolean> {
  return (await statfs(path)).type === btrfsMagic;
}

async function bindDirectory(storeDir: string): Promise<void> {
  const tree = `${storeDir}.tree`;
  await mkdir(tree, { recursive: true, mode: 0o700 });
  await runCommand('mount', ['--bind', tree, storeDir]);
  await runCommand('mount', ['-o', 'remount,bind,nosuid,nodev,noatime', storeDir]);
}

/** Makes the formatted image under another name first: an image that exists is a whole one. */
async function makeImage({ storeImage, storeSizeMiB, log }: StoreDeviceOptions): Promise<void> {
  if (await exists(storeImage)) return;
  const unfinished = `${storeImage}.new`;
  await rm(unfinished, { force: true });
  const file = await open(unfinished, 'wx', 0o600);
  try {
    await file.truncate(storeSizeMiB * 1024 * 1024);
  } finally {
    await file.close();
  }
  await runCommand('mkfs.btrfs', ['--quiet', '--metadata', 'single', '--data', 'single', unfinished]);
  const formatted = await open(unfinished, 'r+');
  try {
    await formatted.sync();
  } finally {
    await formatted.close();
  }
  await rename(unfinished, storeImage);
  await syncDirectory(dirname(storeImage));
  log.info('Made the store', { storeImage, storeSizeMiB });
}

async function mountImage(storeImage: string, storeDir: string): Promise<void> {
  const [existing] = await loopDevices(storeImage);
  const device = existing ?? (await runCommand('losetup', ['--find', '--show', '--direct-io=on', storeImage])).trim();
  await runCommand('mount', ['-t', 'btrfs', '-o', mountOptions, device, storeDir]);
}

/** Detaching a device in use only marks it: the kernel frees it when the store is unmounted, whoever does that. */
async function settleLoop(storeImage: string): Promise<void> {
  for (const device of await loopDevices(storeImage)) await runCommand('losetup', ['--detach', device]);
}

async function growImage({ storeDir, storeImage, storeSizeMiB }: StoreDeviceOptions): Promise<void> {
  const wanted = storeSizeMiB * 1024 * 1024;
  if ((await stat(storeImage)).size >= wanted) return;
  const file = await open(storeImage, 'r+');
  try {
    await file.truncate(wanted);
    await file.sync();
  } finally {
    await file.close();
  }
  for (const device of await loopDevices(storeImage)) await runCommand('losetup', ['--set-capacity', device]);
  await growToDevice(storeDir);
}

async function loopDevices(storeImage: string): Promise<string[]> {
  const listing = await runCommand('losetup', [
    '--noheadings',
    '--raw',
    '--output',
    'NAME',
    '--associated',
    storeImage,
  ]).catch(() => '');
  return listing.split('\n').filter((line) => line !== '');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (isMissing(error)) return false;
      throw error;
    },
  );
}
