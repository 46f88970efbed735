import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readFileIfExists, writeFileAtomic } from '@skerry/kit';
import { type HostId, isId, newId, Problem } from '@skerry/model';
import { createSubvolume, isSubvolume, limitSubvolume } from './btrfs.ts';

/** Names of what lies in a store. */
export interface StoreLayout {
  readonly root: string;
  readonly images: string;
  readonly disks: string;
  readonly snapshots: string;
  readonly boots: string;
  readonly guests: string;
  /** Builds of the engine that boots and memory images need. */
  readonly engines: string;
  readonly logs: string;
  readonly trash: string;
  readonly hostFile: string;
}

export function storeLayout(storeDir: string): StoreLayout {
  return {
    root: storeDir,
    images: join(storeDir, 'images'),
    disks: join(storeDir, 'disks'),
    snapshots: join(storeDir, 'snapshots'),
    boots: join(storeDir, 'boots'),
    guests: join(storeDir, 'guests'),
    engines: join(storeDir, 'engines'),
    logs: join(storeDir, 'logs'),
    trash: join(storeDir, 'trash'),
    hostFile: join(storeDir, 'host.json'),
  };
}

/** What all logs of guests together may take. Each is kept far below it; this bounds what one can do between two looks. */
const allLogsMaxBytes = 1024 * 1024 * 1024;

/** Makes the directories of a store that are missing. */
export async function prepareLayout(layout: StoreLayout): Promise<void> {
  for (const directory of [layout.images, layout.disks, layout.snapshots, layout.boots, layout.trash])
    await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const directory of [layout.guests, layout.engines]) await mkdir(directory, { recursive: true, mode: 0o755 });
  if (!(await isSubvolume(layout.logs))) await createSubvolume(layout.logs);
  await limitSubvolume(layout.logs, allLogsMaxBytes);
}

/** The id of the host whose store this is; made with the store. */
export async function readHostId(layout: StoreLayout): Promise<HostId> {
  const text = await readFileIfExists(layout.hostFile);
  if (text === undefined) {
    const hostId = newId('host');
    await writeFileAtomic(layout.hostFile, `${JSON.stringify({ formatVersion: 1, hostId })}\n`);
    return hostId;
  }
  const found = JSON.parse(text) as { formatVersion?: unknown; hostId?: unknown };
  if (found.formatVersion !== 1 || typeof found.hostId !== 'string' || !isId('host', found.hostId))
    throw new Problem('data_loss', `"${layout.hostFile}" is not a host record of format 1`, {
      reason: 'host_record_unreadable',
    });
  return found.hostId;
}
