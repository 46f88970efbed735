import { access, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Engine } from '@skerry/engine';
import { errorFields, type Log, readFileIfExists } from '@skerry/kit';
import { type BootId, isId } from '@skerry/model';
import type { HostConfig } from '@skerry/protocol';
import { formatBootRecord, parseBootRecord } from '../boots/boot-record.ts';
import type { Network } from '../network/index.ts';
import { syncFileSystem } from '../store/btrfs.ts';
import { findMount } from '../store/mounts.ts';
import { unmountStore } from '../store/store-device.ts';
import { type StoreLayout, storeLayout } from '../store/store-layout.ts';

/** Takes an instance off the machine; its data stays. Gives back the boots that were still there. */
export async function tearDown(
  config: HostConfig,
  engine: Engine,
  network: Network,
  log: Log,
): Promise<readonly BootId[]> {
  const layout = storeLayout(config.storeDir);
  const held = await engine.list();
  await Promise.all(held.map((bootId) => engine.remove(bootId, join(layout.boots, bootId))));
  await engine.clear();
  await network.teardown();
  if ((await findMount(config.storeDir)) !== undefined) {
    await recordEnds(layout, log);
    await syncFileSystem(config.storeDir);
  }
  await unmountStore(config);
  await rm(dirname(config.socketPath), { recursive: true, force: true });
  await rm(join(config.runDir, 'guest'), { recursive: true, force: true });
  log.info('Took the instance off the machine', { endedBoots: held.length });
  return held;
}

/** Lets the records say what was done, so that the next daemon does not take it for a failure. */
async function recordEnds({ boots, snapshots }: StoreLayout, log: Log): Promise<void> {
  const entries = await readdir(boots).catch(() => []);
  for (const entry of entries) {
    if (!isId('boot', entry)) continue;
    const path = join(boots, entry, 'boot.json');
    try {
      const text = await readFileIfExists(path);
      if (text === undefined) continue;
      const record = parseBootRecord(text);
      if (record.cleaned) continue;
      const { saving } = record;
      const saved = saving?.end === true && (await isThere(join(snapshots, saving.snapshotId, 'snapshot.json')));
      const exit = record.exit ?? {
        reason: saved ? ('paused' as const) : ('stopped' as const),
        detail: saved ? 'Its memory and files were saved' : 'Skerry was stopped while it ran',
        atMs: Date.now(),
      };
      await writeFile(`${path}.tmp`, formatBootRecord({ ...record, state: 'ended', exit, cleaned: true }), {
        mode: 0o600,
      });
      await rename(`${path}.tmp`, path);
    } catch (error) {
      log.error('A boot record cannot be written', { bootId: entry, ...errorFields(error) });
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
