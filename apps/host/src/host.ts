/** Puts the parts of the host daemon together, in the order in which they need each other, and takes them apart. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import type { Engine, EngineDescription } from '@skerry/engine';
import { createGvisorEngine } from '@skerry/engine-gvisor';
import { errorFields, type Log } from '@skerry/kit';
import type { DiskDiff, HostId } from '@skerry/model';
import type { ExportKeysConfig, HostConfig } from '@skerry/protocol';
import { type HostLimits, readHostLimits } from './boots/admission.ts';
import { BootFeed } from './boots/boot-feed.ts';
import { Boots } from './boots/boots.ts';
import { compareDisks, type DiskState } from './diff/compare.ts';
import { Disks } from './disks/disks.ts';
import { Exports } from './export/exports.ts';
import { Garbage } from './garbage/garbage.ts';
import { guestPath as guestPathIn, hasGuest, installGuest, removeOldGuests } from './guest/guest-binaries.ts';
import { ImageStore } from './images/image-store.ts';
import { GuestLogs } from './logs/guest-logs.ts';
import { createNetwork, type Network } from './network/index.ts';
import { SnapshotSpaces } from './snapshots/space.ts';
import { btrfsSnapshotFiles } from './snapshots/snapshot-files.ts';
import { SnapshotMaker } from './snapshots/snapshot-maker.ts';
import { Snapshots } from './snapshots/snapshots.ts';
import { syncFileSystem } from './store/btrfs.ts';
import { DiskSpace } from './store/disk-space.ts';
import { isLoopStore, mountStore } from './store/store-device.ts';
import { prepareLayout, readHostId, storeLayout } from './store/store-layout.ts';
import { SyncGate } from './store/sync-gate.ts';
import { Trash } from './store/trash.ts';

/** Most host processes and threads that one boot may take: the engine's pids limit. */
const pidsPerBoot = 8192;
const namespacePool = 8;

export interface Host extends AsyncDisposable {
  readonly hostId: HostId;
  readonly description: EngineDescription;
  readonly cpus: number;
  readonly limits: HostLimits;
  readonly guestDigest: string;
  readonly images: ImageStore;
  readonly disks: Disks;
  readonly snapshots: Snapshots;
  readonly snapshotMaker: SnapshotMaker;
  readonly boots: Boots;
  readonly logs: GuestLogs;
  readonly space: DiskSpace;
  readonly garbage: Garbage;
  readonly exports: Exports;
  /** What is different between two states of disks, at most `limit` changes. */
  compare(before: DiskState, after: DiskState, limit: number, signal?: AbortSignal): Promise<DiskDiff>;
}

/** What a test may put in the place of the real one. */
export interface HostReplacements {
  readonly engine?: Engine;
  readonly network?: Network;
}

export function makeEngine(config: HostConfig, log: Log): Engine {
  const { path, version } = config.artifacts.runsc;
  return createGvisorEngine({
    runscPath: path,
    runscVersion: version,
    instance: config.instance,
    stateDir: join(config.runDir, 'runsc'),
    buildsDir: storeLayout(config.storeDir).engines,
    log,
  });
}

export function makeNetwork(config: HostConfig, log: Log): Network {
  return createNetwork({ instance: config.instance, config: config.network, poolSize: namespacePool, log });
}

/** Starts everything and adopts what an earlier daemon left. Disposing it leaves sandboxes running. */
export async function startHost(config: HostConfig, log: Log, replacements: HostReplacements = {}): Promise<Host> {
  const { artifacts, storeDir, runDir } = config;
  await using owned = new AsyncDisposableStack();
  const engine = replacements.engine ?? makeEngine(config, log);
  const description = await engine.describe();
  await mountStore({ ...config, log });
  const layout = storeLayout(storeDir);
  await prepareLayout(layout);
  const hostId = await readHostId(layout);
  const gate = new SyncGate(() => syncFileSystem(storeDir));
  const sync = (): Promise<void> => gate.sync();
  const trash = new Trash(layout.trash, storeDir, sync, log);
  const space = new DiskSpace((await isLoopStore(storeDir)) ? [storeDir, config.storeImage] : [storeDir]);
  const images = await ImageStore.open(layout.images, artifacts.images, trash, log);
  const guestPath = await installGuest(layout.guests, artifacts.guest);
  const logs = owned.use(new GuestLogs(layout.logs, log));
  const spaces = new SnapshotSpaces({ storeDir, directory: layout.snapshots, log });
  const snapshots: Snapshots = await Snapshots.open({
    directory: layout.snapshots,
    trash,
    files: btrfsSnapshotFiles,
    engine,
    hasGuest: (digest) => hasGuest(layout.guests, digest),
    space: (records) => spaces.of(records, snapshots.list()),
    log,
  });
  const disks = await Disks.open({
    directory: layout.disks,
    mountPoint: storeDir,
    images,
    snapshots,
    trash,
    space,
    forget: (diskId) => logs.forget(diskId),
    log,
  });
  const network = owned.use(replacements.network ?? makeNetwork(config, log));
  await network.start();
  const limits = await readHostLimits(pidsPerBoot, log);
  const closing = new AbortController();
  owned.defer(() => closing.abort());
  const boots = await Boots.open({
    directory: layout.boots,
    trashDirectory: layout.trash,
    engine,
    description,
    network,
    disks,
    images,
    snapshots,
    space,
    logs,
    feed: new BootFeed(),
    limits,
    guest: { path: guestPath, digest: artifacts.guest.sha256 },
    guestPathOf: (digest) => guestPathIn(layout.guests, digest),
    hostBootId: await readHostBootId(),
    resolvConf: await writeResolvConf(runDir),
    machineEnv: artifacts.machine.env,
    caBundle: artifacts.machine.caBundle === null ? undefined : await readFile(artifacts.machine.caBundle, 'utf8'),
    sync,
    closing: closing.signal,
    log,
  });
  const neededGuests = [artifacts.guest.sha256, ...boots.guestDigests(), ...snapshots.guestDigests()];
  await removeOldGuests(layout.guests, new Set(neededGuests));
  await snapshots.retainBuilds();
  const snapshotMaker = new SnapshotMaker({ snapshots, boots, disks, space, log });
  const exports = await Exports.open({
    keys: config.exportKeys ?? exportKeysBeside(config.storeImage),
    mountPoint: storeDir,
    runDir,
    snapshots,
    images,
    space,
    engine,
    hasGuest: (digest) => hasGuest(layout.guests, digest),
    sync,
    log,
  });
  const garbage = new Garbage({ layout, boots, disks, snapshots, engine, network, trash, log });
  await trash.resume();
  const leftovers = garbage
    .collectLeftovers()
    .catch((error: unknown) => log.error('What an earlier daemon left cannot be removed', errorFields(error)));
  owned.defer(() => leftovers);
  const parts = owned.move();
  return {
    hostId,
    description,
    cpus: cpus().length,
    limits,
    guestDigest: artifacts.guest.sha256,
    images,
    disks,
    snapshots,
    snapshotMaker,
    boots,
    logs,
    space,
    garbage,
    exports,
    compare: (before, after, limit, signal) =>
      compareDisks({ storeDir, disks, snapshots }, before, after, limit, signal),
    [Symbol.asyncDispose]: async () => {
      await parts
        .disposeAsync()
        .catch((error: unknown) => log.error('The host daemon did not end cleanly', errorFields(error)));
    },
  };
}

/** Where the keys lie when nobody says so: in the data directory. */
function exportKeysBeside(storeImage: string): ExportKeysConfig {
  const directory = dirname(storeImage);
  return { ownKeyFile: join(directory, 'export.key'), trustedDir: join(directory, 'trusted-keys') };
}

/** The kernel's own id of this uptime of the machine. */
export async function readHostBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

async function writeResolvConf(runDir: string): Promise<string> {
  const directory = join(runDir, 'guest');
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const path = join(directory, 'resolv.conf');
  await writeFile(path, 'nameserver 172.31.255.1\noptions timeout:3 attempts:2\n', { mode: 0o644 });
  return path;
}
