import { readFile } from 'node:fs/promises';
import { arch, release } from 'node:os';
import { readFileIfExists, runCommand, tryCommand } from '@skerry/kit';
import { type Check, type Finding, fail, pass, warn } from './finding.ts';

/** Packet filters at the outgoing end of a link, which the sandboxes' addresses need, came with this version. */
const leastKernel = [5, 16] as const;

/** Says whether a kernel release such as `6.1.0-13-amd64` is at least that of Skerry's needs. */
export function kernelIsNewEnough(text: string): boolean {
  const [major = 0, minor = 0] = text.split('.').map((part) => Number.parseInt(part, 10));
  return major > leastKernel[0] || (major === leastKernel[0] && minor >= leastKernel[1]);
}

async function kernelVersion(): Promise<Finding> {
  const need = 'kernel';
  if (!kernelIsNewEnough(release()))
    return fail(need, `Linux ${release()}`, `Boot Linux ${leastKernel.join('.')} or later.`);
  if (arch() !== 'x64' && arch() !== 'arm64')
    return fail(need, `Linux on ${arch()}`, 'Use a machine of x86-64 or arm64.');
  return pass(need, `Linux ${release()} on ${arch()}`);
}

async function fileSystem(): Promise<Finding> {
  const need = 'btrfs';
  if (/\bbtrfs$/m.test(await readFile('/proc/filesystems', 'utf8'))) return pass(need, 'the kernel has it');
  const probe = await tryCommand('modprobe', ['btrfs']).catch(() => undefined);
  if (probe?.status === 0) return pass(need, 'a module of the kernel');
  return fail(need, 'the kernel lacks it', 'Boot a kernel with CONFIG_BTRFS_FS.');
}

async function loopDevices(): Promise<Finding> {
  const need = 'loop devices';
  const free = await tryCommand('losetup', ['--find']).catch(() => undefined);
  if (free?.status === 0) return pass(need, `${free.stdout.trim()} is free`);
  return warn(
    need,
    free?.stderr.trim() || 'none',
    'Put the data directory on a btrfs of its own, or load the module "loop".',
  );
}

async function packetFilter(): Promise<Finding> {
  const need = 'nftables';
  // Tried in a network namespace of its own, so that nothing of the machine changes.
  const rules = 'add table netdev t; add chain netdev t c { type filter hook egress device "lo" priority 0; }';
  const tried = await tryCommand('unshare', ['--net', 'nft', rules]).catch(() => undefined);
  if (tried?.status === 0) return pass(need, (await runCommand('nft', ['--version'])).trim());
  if (tried === undefined) return fail(need, '"unshare" or "nft" is missing', 'apt-get install util-linux nftables');
  return fail(
    need,
    tried.stderr.trim().split('\n')[0] ?? '',
    'Boot a kernel with CONFIG_NF_TABLES and CONFIG_NETFILTER_EGRESS.',
  );
}

async function virtualMachines(): Promise<Finding> {
  const need = 'KVM';
  if ((await readFileIfExists('/proc/misc'))?.includes(' kvm') !== true)
    return pass(need, 'none; gVisor does not need it');
  return pass(need, '/dev/kvm is there; whether it boots anything is not known, and gVisor does not need it');
}

async function haltPolling(): Promise<Finding> {
  const need = 'halt polling';
  const value = await readFileIfExists('/sys/module/haltpoll/parameters/guest_halt_poll_ns');
  if (value === undefined) return pass(need, 'not a virtual machine with haltpoll');
  if (Number(value) >= 1_000_000) return pass(need, `${Number(value) / 1e6} ms`);
  return warn(
    need,
    `${Number(value) / 1e6} ms`,
    'System calls in sandboxes are up to 1.8 times faster with: echo 2000000 > /sys/module/haltpoll/parameters/guest_halt_poll_ns',
  );
}

/** The kernel and what it must have. */
export const kernelChecks: Check = async () =>
  Promise.all([kernelVersion(), fileSystem(), loopDevices(), packetFilter(), virtualMachines(), haltPolling()]);
