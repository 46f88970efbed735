/**
 * Runs a system program on what may come from anybody: it sees the system's programs (read-only) and at most one directory, has no network, no
 * processes but its own, and no rights but those that it is given.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface JailSpec {
  /** An empty directory to mount the small root on; many jails may use it at once. */
  readonly mountPoint: string;
  /** The directory that is seen as `/tree`, its working directory. */
  readonly tree: string;
  readonly writable: boolean;
  /** User and group to run as. */
  readonly user: number;
  /** Capabilities that are left to root, such as `chown`. */
  readonly rights: readonly string[];
  /** A program for bash; nothing of it comes from outside. */
  readonly program: string;
}

export interface Jailed {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** How it ended: nothing when all went well, its last words otherwise. */
  readonly ended: Promise<string | undefined>;
}

const enter = `set -eu
root=$1 tree=$2 mode=$3 user=$4 rights=$5 program=$6
readonly_bind() {
  mkdir "$root$1"
  mount --bind "$1" "$root$1"
  mount -o remount,bind,ro,nosuid,nodev "$root$1"
}
mount -t tmpfs -o mode=0755,size=1m,nosuid,nodev skerry "$root"
mkdir "$root/tree" "$root/proc" "$root/old"
mount --bind /proc "$root/proc"
for name in /usr /bin /sbin /lib /lib32 /lib64; do
  if [ -L "$name" ]; then cp -P "$name" "$root$name"
  elif [ -d "$name" ]; then readonly_bind "$name"; fi
done
mount --bind "$tree" "$root/tree"
mount -o "remount,bind,$mode,nosuid,nodev,noexec" "$root/tree"
cd "$root"
mount -o remount,ro "$root"
pivot_root . old
cd /tree
umount --lazy /old
umount /proc
ulimit -c 0
ulimit -n 1024
ulimit -v 2097152
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --inh-caps=-all --bounding-set="-all$rights" bash -o pipefail -c "$program"`;

const namespaces = [
  '--mount',
  '--propagation',
  'private',
  '--net',
  '--ipc',
  '--uts',
  '--pid',
  '--fork',
  '--kill-child=KILL',
];
const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const mostWords = 4000;

/** Starts a program in a jail of its own. Killing the child ends all of it. */
export function startJailed({ mountPoint, tree, writable, user, rights, program }: JailSpec): Jailed {
  const added = rights.map((right) => `,+${right}`).join('');
  const args = [mountPoint, tree, writable ? 'rw' : 'ro', String(user), added, program];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', enter, 'sh', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: environment,
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-mostWords);
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (status, signal) =>
      resolve(status === 0 ? undefined : words.trim() || `the program ended with ${status ?? signal}`),
    );
  });
  return { child, ended };
}
