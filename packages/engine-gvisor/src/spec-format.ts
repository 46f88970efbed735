import { join } from 'node:path';
import type { EngineBootSpec } from '@skerry/engine';

/**
 * Version of everything in this file that a memory image depends on: mount destinations, options and order, rlimits, capabilities, arguments.
 * A change to any of them is a new version; resources, mount sources, environment, host name and namespaces are free.
 */
export const specVersion = 1;

/** Where the guest binary is seen inside. `/dev` is always a mount of ours, so nothing done inside can damage the mount points below it. */
export const guestDestination = '/dev/skerry/guest';

/** Mount points kept for volumes, so that a boot with volumes needs no other spec. */
export const volumeSlots = 8;

/** Open files of one process inside. The sentry needs about twice as many on the host, beside 5,000 of its own: 20,000 in all. */
export const openFilesLimit = 7500;

/** Processes of one uid inside. */
export const processesPerUser = 4096;

/** Host tasks of one boot. Reaching it ends the boot: it is the last resort behind the host's admission. */
export const hostTasksLimit = 8192;

const cpuPeriodUs = 100_000;
const sharedMemorySize = '64m';

const capabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Directory of a boot that is the source of one volume slot; empty while no volume is attached. */
export function volumeSource(directory: string, slot: number): string {
  return join(directory, 'volumes', String(slot));
}

/** The OCI config.json of a boot. */
export function bootConfig(spec: EngineBootSpec, cgroupsPath: string): object {
  return {
    ociVersion: '1.1.0',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: [guestDestination],
      env: [path, ...Object.entries(spec.guestEnv).map(([name, value]) => `${name}=${value}`)],
      cwd: '/',
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      rlimits: [
        { type: 'RLIMIT_NOFILE', hard: openFilesLimit, soft: openFilesLimit },
        { type: 'RLIMIT_NPROC', hard: processesPerUser, soft: processesPerUser },
      ],
      noNewPrivileges: false,
    },
    root: { path: spec.root, readonly: false },
    hostname: spec.hostname,
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=16m'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'nodev', 'mode=1777', `size=${sharedMemorySize}`],
      },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      { destination: '/etc/resolv.conf', type: 'bind', source: spec.resolvConf, options: ['bind', 'ro'] },
      {
        destination: guestDestination,
        type: 'bind',
        source: spec.guestPath,
        options: ['bind', 'ro', 'nosuid', 'nodev'],
      },
      ...Array.from({ length: volumeSlots }, (_, slot) => ({
        destination: `/dev/skerry/volumes/${slot}`,
        type: 'bind',
        source: volumeSource(spec.directory, slot),
        options: ['bind', 'rw', 'nosuid', 'nodev'],
      })),
    ],
    annotations: { 'dev.gvisor.internal.checkpoint.enable': 'true' },
    linux: {
      cgroupsPath,
      resources: {
        memory: { limit: spec.memoryMiB * 1024 * 1024 },
        cpu: { period: cpuPeriodUs, quota: Math.round(spec.cpus * cpuPeriodUs) },
        pids: { limit: hostTasksLimit },
      },
      namespaces: [
        { type: 'pid' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'network', path: spec.networkNamespace },
      ],
    },
  };
}
