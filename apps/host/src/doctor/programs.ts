import { tryCommand } from '@skerry/kit';
import { type Check, type Finding, fail, pass } from './finding.ts';

/** Programs that run at Skerry's side, with the Debian package of each. */
const programs = {
  btrfs: 'btrfs-progs',
  'mkfs.btrfs': 'btrfs-progs',
  nft: 'nftables',
  ip: 'iproute2',
  tar: 'tar',
  zstd: 'zstd',
  losetup: 'mount',
  flock: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
} as const;

async function hostPrograms(): Promise<Finding> {
  const missing: string[] = [];
  for (const [program, debianPackage] of Object.entries(programs))
    if ((await tryCommand('sh', ['-c', `command -v ${program}`])).status !== 0) missing.push(debianPackage);
  const packages = [...new Set(missing)].join(' ');
  return packages === ''
    ? pass('programs', Object.keys(programs).join(' '))
    : fail(
        'programs',
        `packages are missing: ${packages}`,
        `apt-get install ${packages}, or ./skerry up, which does it`,
      );
}

async function go(): Promise<Finding> {
  const need = 'Go';
  const found = await tryCommand('go', ['env', 'GOVERSION'], { env: { ...process.env, GOTOOLCHAIN: 'local' } }).catch(
    () => undefined,
  );
  const version = found?.stdout.trim() ?? '';
  if (/^go1\.26(\.|$)/.test(version)) return pass(need, version);
  return fail(
    need,
    version === '' ? 'none' : version,
    'Install Go 1.26 and put it on PATH: another version builds a runsc that crashes at random. A machine whose cache holds the built runsc does without.',
  );
}

async function node(): Promise<Finding> {
  if (Number(process.versions.node.split('.')[0]) === 24)
    return pass('Node', `${process.version}, pinned by the lockfile`);
  return fail('Node', process.version, 'Start through ./skerry, which uses the pinned one.');
}

/** What must be installed. */
export const programChecks: Check = async () => Promise.all([hostPrograms(), go(), node()]);
