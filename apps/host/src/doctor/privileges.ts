import { readFile } from 'node:fs/promises';
import { hostTasksLimit, openFilesLimit } from '@skerry/engine-gvisor';
import { parseOpenFiles } from '../open-files.ts';
import { type Check, type Finding, fail, pass, warn } from './finding.ts';

/** Bits of the capabilities that the host daemon uses, from linux/capability.h. */
const needed = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_MKNOD: 27,
} as const;
const resourceBit = 24;

/** Names of the needed capabilities that a mask of `/proc/self/status` lacks. */
export function missingCapabilities(mask: bigint): string[] {
  return Object.entries(needed)
    .filter(([, bit]) => (mask & (1n << BigInt(bit))) === 0n)
    .map(([name]) => name);
}

async function capabilities(): Promise<Finding[]> {
  const status = await readFile('/proc/self/status', 'utf8');
  const mask = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const missing = missingCapabilities(mask);
  return [
    missing.length === 0
      ? pass('capabilities', 'all that are needed')
      : fail(
          'capabilities',
          `root lacks ${missing.join(', ')}`,
          'Run Skerry outside of the container or service that takes them away.',
        ),
    (mask & (1n << BigInt(resourceBit))) === 0n
      ? warn(
          'CAP_SYS_RESOURCE',
          'root lacks it',
          'Hard limits cannot be raised: set the limit of open files where this login or service gets it.',
        )
      : pass('CAP_SYS_RESOURCE', 'there'),
  ];
}

async function openFiles(): Promise<Finding> {
  const { hard } = parseOpenFiles(await readFile('/proc/self/limits', 'utf8'));
  const wanted = openFilesLimit * 2 + 5000;
  if (hard >= wanted) return pass('open files', `limit ${hard}`);
  return fail(
    'open files',
    `limit ${hard}, below ${wanted}`,
    `Raise the hard limit of open files to ${wanted} (ulimit -Hn, or LimitNOFILE= of the service).`,
  );
}

async function processIds(): Promise<Finding> {
  const most = Number(await readFile('/proc/sys/kernel/pid_max', 'utf8'));
  if (most >= hostTasksLimit * 16) return pass('process ids', `kernel.pid_max is ${most}`);
  return warn(
    'process ids',
    `kernel.pid_max is ${most}, shared by all sandboxes`,
    'For more than a few busy sandboxes: sysctl -w kernel.pid_max=4194304',
  );
}

async function watches(): Promise<Finding> {
  const most = Number(await readFile('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
  if (most >= 128) return pass('inotify', `${most} instances a user`);
  return warn('inotify', `${most} instances a user`, 'sysctl -w fs.inotify.max_user_instances=1024');
}

/** Who we are and what we may. */
export const privilegeChecks: Check = async () => {
  const root = process.getuid?.() === 0;
  return [
    root
      ? pass('root', 'yes')
      : fail('root', `uid ${process.getuid?.()}`, 'Use sudo: sandboxes need namespaces, mounts and packet filters.'),
    ...(await capabilities()),
    await openFiles(),
    await processIds(),
    await watches(),
  ];
};
