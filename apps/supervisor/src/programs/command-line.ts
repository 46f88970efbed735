import { dirname, relative } from 'node:path';
import { configFileOf, type Layout, type ProgramName } from '../instance/layout.ts';

const asRoot = 'ulimit -n "$(ulimit -Hn)"; exec "$@"';

/**
 * In a mount namespace of its own: makes a small root with the system's programs, this clone and the instance's run directory, leaves every other
 * mount behind (a copy of another instance's would keep that in use), and gives up all rights. It ends in an `exec`, so that the process id stays.
 */
const asNobody = `set -eu
root=$1 checkout=$2 app=$3 run=$4 data=$5 inside=$6 extra=$7 user=$8; shift 8
mount -t tmpfs -o mode=0755,size=16m,nosuid,nodev skerry "$root"
readonly_bind() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro,nosuid "$2"
}
for name in usr bin sbin lib lib32 lib64 etc; do
  if [ -L "/$name" ]; then cp -P "/$name" "$root/$name"
  elif [ -d "/$name" ]; then mkdir "$root/$name"; readonly_bind "/$name" "$root/$name"; fi
done
mkdir -m 1777 "$root/tmp"
mkdir -p "$root/proc" "$root/dev" "$root/old" "$root$run"
mount --bind /proc "$root/proc"
for device in null zero random urandom; do : >"$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mount --bind "$run" "$root$run"
readonly_bind "$checkout" "$root$app"
[ -z "$data" ] || mount --bind "$data" "$root$inside"
[ -z "$extra" ] || { mkdir -p "$root$extra"; mount --bind "$extra" "$root$extra"; }
cd "$root"
pivot_root . old
cd /
umount --lazy /old
rmdir /old
umask 077
ulimit -n "$(ulimit -Hn)"
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"`;

export interface CommandLine {
  readonly file: string;
  readonly args: readonly string[];
}

/** How a program of an instance is started. `checkout` is this clone, `node` the interpreter that runs now. */
export function commandLine(program: ProgramName, layout: Layout, checkout: string, node: string): CommandLine {
  const config = configFileOf(layout, program);
  const script = `apps/${program}/src/main.ts`;
  if (program === 'host')
    return { file: 'sh', args: ['-c', asRoot, 'sh', node, `${checkout}/${script}`, '--config', config] };
  const fromCheckout = relative(checkout, node);
  const nodeInside = fromCheckout.startsWith('..') ? node : `${layout.appDir}/${fromCheckout}`;
  const data = program === 'server' ? layout.serverDir : '';
  return {
    file: 'unshare',
    args: [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      asNobody,
      'sh',
      layout.rootDir,
      checkout,
      layout.appDir,
      layout.runDir,
      data,
      layout.serverDirInside,
      faultFolder(),
      String(layout.uids[program]),
      nodeInside,
      `${layout.appDir}/${script}`,
      '--config',
      config,
    ],
  };
}

/** The folder that fault tests speak through; empty without them. */
function faultFolder(): string {
  const file = process.env['SKERRY_FAULT_FILE'];
  return file === undefined || file === '' ? '' : dirname(file);
}

/** The one-shot that removes the instance from the machine. */
export function teardownCommandLine(layout: Layout, checkout: string, node: string): CommandLine {
  return { file: node, args: [`${checkout}/apps/host/src/teardown/main.ts`, '--config', configFileOf(layout, 'host')] };
}

/** Environment of every program: nothing of the person's own but what they set for Skerry. */
export function programEnvironment(from: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    HOME: '/',
  };
  for (const [name, value] of Object.entries(from))
    if (name.startsWith('SKERRY_FAULT') || name === 'TZ') environment[name] = value;
  return environment;
}
