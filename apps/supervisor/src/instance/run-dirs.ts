import { join } from 'node:path';
import { writeFileAtomic } from '@skerry/kit';
import { ensureDirectory, type InstanceIdentity } from './identity.ts';
import { type Layout, runRoot } from './layout.ts';

/** Makes the run directory: each program finds the sockets that it may use, and no others. */
export async function makeRunDirs(layout: Layout, identity: InstanceIdentity): Promise<void> {
  const { server, gateway } = layout.uids;
  await ensureDirectory(runRoot, 0o711, 0);
  await ensureDirectory(layout.runDir, 0o711, 0);
  await ensureDirectory(layout.configDir, 0o711, 0);
  await ensureDirectory(layout.appDir, 0o755, 0);
  await ensureDirectory(layout.rootDir, 0o755, 0);
  await ensureDirectory(layout.serverDirInside, 0o700, server);
  await ensureDirectory(join(layout.runDir, 'host'), 0o710, 0, server);
  await ensureDirectory(join(layout.runDir, 'server'), 0o710, server, gateway);
  await ensureDirectory(join(layout.runDir, 'admin'), 0o700, server, 0);
  await ensureDirectory(join(layout.runDir, 'supervisor'), 0o700, 0);
  // For `doctor` and for new instances that choose their ranges.
  const owner = { ...identity, dataDir: layout.dataDir };
  await writeFileAtomic(join(layout.runDir, 'supervisor', 'instance.json'), `${JSON.stringify(owner)}\n`);
}
