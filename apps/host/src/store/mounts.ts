import { readFile } from 'node:fs/promises';

export interface Mount {
  readonly mountPoint: string;
  /** Path inside the mounted file system that is shown; `/` for all of it. */
  readonly root: string;
  readonly type: string;
  /** Device or name that was mounted. */
  readonly source: string;
}

/** The topmost mount at exactly this path, or `undefined`. */
export async function findMount(path: string): Promise<Mount | undefined> {
  return parseMounts(await readFile('/proc/self/mountinfo', 'utf8')).findLast((mount) => mount.mountPoint === path);
}

/** Reads `/proc/self/mountinfo`. */
export function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root, mountPoint] = left.split(' ');
    const [type, source] = right.split(' ');
    if (root === undefined || mountPoint === undefined || type === undefined || source === undefined) continue;
    mounts.push({ root: unescape(root), mountPoint: unescape(mountPoint), type, source: unescape(source) });
  }
  return mounts;
}

function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
