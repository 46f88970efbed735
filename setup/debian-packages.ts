import { readFile } from 'node:fs/promises';
import { runCommand, tryCommand } from './run-command.ts';
import { SetupFailure } from './setup-failure.ts';
import type { Stage } from './stage.ts';

/** What a machine needs to run Skerry; Debian's essential packages are taken for granted. */
export const HOST_PACKAGES: readonly string[] = [
  'btrfs-progs',
  'ca-certificates',
  'debian-archive-keyring',
  'e2fsprogs',
  'iproute2',
  'mmdebstrap',
  'mount',
  'nftables',
  'procps',
  'util-linux',
  'zstd',
];

/** What only the tests need. */
export const TEST_PACKAGES: readonly string[] = [
  'attr',
  'curl',
  'git',
  'postgresql',
  'python3-venv',
  'shellcheck',
  'tmux',
];

/** The packages of `wanted` that `dpkg-query`'s lines (`NAME STATUS`) do not show as installed. */
export function missingPackages(wanted: readonly string[], dpkgLines: string): string[] {
  const installed = new Set<string>();
  for (const line of dpkgLines.split('\n')) {
    const [name, status] = line.split(' ');
    if (name !== undefined && status === 'installed') installed.add(name);
  }
  return wanted.filter((name) => !installed.has(name));
}

/** Installs those of `wanted` that are missing, from the machine's own package sources. */
export function debianPackages(name: string, wanted: readonly string[]): Stage<true> {
  const missing = async (): Promise<string[]> => {
    const listed = await tryCommand('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\\n', ...wanted]);
    return missingPackages(wanted, listed.stdout);
  };
  return {
    name,
    does: 'installing the Debian packages that are missing',
    async find() {
      await requireDebian();
      return (await missing()).length === 0 ? true : null;
    },
    async build(say) {
      const packages = await missing();
      say(`apt-get install ${packages.join(' ')}`);
      const env = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
      await runCommand('apt-get', ['update', '-q'], { env });
      if (packages.includes('postgresql')) await keepPostgresFromStarting();
      await runCommand('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], { env });
      return true;
    },
  };
}

/** Debian's package makes and starts a database cluster of its own; the tests start a throw-away one, and the machine should stay as it was. */
async function keepPostgresFromStarting(): Promise<void> {
  const { mkdir, writeFile } = await import('node:fs/promises');
  await mkdir('/etc/postgresql-common/createcluster.d', { recursive: true });
  await writeFile('/etc/postgresql-common/createcluster.d/skerry.conf', 'create_main_cluster = false\n');
}

/** Debian's code name from the text of os-release, or null when it is another system. */
export function debianCodename(osRelease: string): string | null {
  const fields = new Map<string, string>();
  for (const line of osRelease.split('\n')) {
    const match = /^([A-Z_]+)="?([^"]*)"?$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) fields.set(match[1], match[2]);
  }
  return fields.get('ID') === 'debian' ? (fields.get('VERSION_CODENAME') ?? null) : null;
}

/** Throws unless this is the Debian release that Skerry is made for. Returns its code name. */
export async function requireDebian(): Promise<string> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codename = debianCodename(osRelease);
  if (codename === 'bookworm') return codename;
  throw new SetupFailure(
    `Cannot set up Skerry here: this machine is not Debian 12 (its release is "${codename ?? 'not Debian'}").`,
    'Use a machine or a VM with Debian 12 (bookworm).',
  );
}
