/** The verbs of btrfs that the store needs. Each is one spawn; paths are the daemon's own. */
import { stat } from 'node:fs/promises';
import { runCommand, tryCommand } from '@skerry/kit';
import { isMissing } from './missing.ts';

/** Inode number of the root directory of every subvolume. */
const subvolumeInode = 256;

export async function createSubvolume(path: string): Promise<void> {
  await runCommand('btrfs', ['subvolume', 'create', path]);
}

/** Makes a snapshot, writable unless asked otherwise. It is committed to disk when this returns: the kernel ends the transaction for it. */
export async function snapshotSubvolume(
  source: string,
  target: string,
  options: { readonly readOnly?: boolean } = {},
): Promise<void> {
  const kind = options.readOnly === true ? ['-r'] : [];
  await runCommand('btrfs', ['subvolume', 'snapshot', ...kind, source, target], { deadlineMs: 120_000 });
}

/** Deletes subvolumes; they are out of the tree, and the deletion is committed, when this returns. Their extents go later. */
export async function deleteSubvolumes(paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await runCommand('btrfs', ['subvolume', 'delete', '--commit-after', ...paths]);
}

export async function setReadOnly(path: string, readOnly: boolean): Promise<void> {
  await runCommand('btrfs', ['property', 'set', '-f', path, 'ro', String(readOnly)]);
}

/** Whether a path is the root of a subvolume. */
export async function isSubvolume(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    return found.isDirectory() && found.ino === subvolumeInode;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Limits how much a subvolume may write of its own. */
export async function limitSubvolume(path: string, bytes: number): Promise<void> {
  await runCommand('btrfs', ['qgroup', 'limit', String(bytes), path]);
}

export interface SubvolumeQuota {
  /** Path as btrfs prints it: from the top of the file system. */
  readonly path: string;
  readonly usedBytes: number;
  readonly limitBytes: number | undefined;
}

/** What every subvolume of the file system uses and may use. */
export async function readQuotas(mountPoint: string): Promise<readonly SubvolumeQuota[]> {
  return parseQuotas(await runCommand('btrfs', ['qgroup', 'show', '--raw', '-r', mountPoint]));
}

/** Reads the table of `btrfs qgroup show --raw -r`: id, referenced, exclusive, limit, path. */
export function parseQuotas(table: string): SubvolumeQuota[] {
  const quotas: SubvolumeQuota[] = [];
  for (const line of table.split('\n')) {
    const match = /^0\/\d+\s+(\d+)\s+\d+\s+(\d+|none)\s+(\S.*)$/.exec(line.trim());
    if (match === null) continue;
    const [, used, limit, path = ''] = match;
    quotas.push({ path, usedBytes: Number(used), limitBytes: limit === 'none' ? undefined : Number(limit) });
  }
  return quotas;
}

export interface Subvolume {
  readonly id: number;
  /** Transaction in which it last changed. */
  readonly generation: number;
  readonly uuid: string;
  /** UUID of what it was copied from; `-` when of nothing. */
  readonly parentUuid: string;
  /** From the top of the file system. */
  readonly path: string;
}

/** Every subvolume of the file system. */
export async function listSubvolumes(mountPoint: string): Promise<readonly Subvolume[]> {
  return parseSubvolumes(await runCommand('btrfs', ['subvolume', 'list', '-q', '-u', mountPoint]));
}

/** Reads `btrfs subvolume list -q -u`. */
export function parseSubvolumes(listing: string): Subvolume[] {
  return [...listing.matchAll(/^ID (\d+) gen (\d+) .*?parent_uuid (\S+)\s+uuid (\S+)\s+path (.*)$/gm)].map(
    ([, id = '', generation = '', parentUuid = '', uuid = '', path = '']) => ({
      id: Number(id),
      generation: Number(generation),
      uuid,
      parentUuid,
      path,
    }),
  );
}

/** Ids of the deleted subvolumes whose extents still exist. */
export async function listDeletedSubvolumes(mountPoint: string): Promise<readonly string[]> {
  const listing = await runCommand('btrfs', ['subvolume', 'list', '-d', mountPoint]);
  return [...listing.matchAll(/^ID (\d+) /gm)].map(([, id = '']) => id);
}

/** Writes everything of the file system to disk, and wakes the thread that frees deleted subvolumes. */
export async function syncFileSystem(mountPoint: string): Promise<void> {
  await runCommand('btrfs', ['filesystem', 'sync', mountPoint], { deadlineMs: 600_000 });
}

/** Lets the file system take all of its device. */
export async function growToDevice(mountPoint: string): Promise<void> {
  await runCommand('btrfs', ['filesystem', 'resize', 'max', mountPoint]);
}

/**
 * Turns simple quotas on; they are on already is fine. The ioctl is sent by perl, which every Debian has: the btrfs command of Debian 12
 * knows only the old quotas.
 */
export async function enableSimpleQuotas(mountPoint: string): Promise<void> {
  const program =
    'open(my $d, "<", $ARGV[0]) or die "$!\\n"; my $a = pack("QQ", 4, 0); ioctl($d, 0xC0109428, $a) or die "$!\\n";';
  const result = await tryCommand('perl', ['-e', program, mountPoint]);
  if (result.status !== 0)
    throw new Error(`btrfs simple quotas cannot be turned on at "${mountPoint}": ${result.stderr.trim()}`);
}
