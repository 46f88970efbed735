import { chmod, lstat, mkdir, opendir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineBootSpec } from '@skerry/engine';
import { readFileIfExists } from '@skerry/kit';
import { bootConfig, volumeSlots, volumeSource } from './spec-format.ts';

/** Files of one boot's directory. */
export const bundleFiles = {
  runscLog: (directory: string): string => join(directory, 'runsc.log'),
  panicLog: (directory: string): string => join(directory, 'panic.log'),
  /** What runsc writes while it saves memory. */
  saveLog: (directory: string): string => join(directory, 'save.log'),
  /** Stamp of the runsc that the boot was started with, for as long as it lives. */
  build: (directory: string): string => join(directory, 'build'),
  /** Whether what runs in the boot stands still; see `suspension.ts`. */
  suspension: (directory: string): string => join(directory, 'suspension'),
};

/** Writes all that runsc reads to start a boot, or to bring one back. */
export async function writeBundle(
  spec: EngineBootSpec,
  { cgroupsPath, build, restored }: { cgroupsPath: string; build: string; restored: boolean },
): Promise<void> {
  const { directory } = spec;
  await Promise.all([
    writeFile(join(directory, 'config.json'), JSON.stringify(bootConfig(spec, cgroupsPath)), { mode: 0o600 }),
    rm(bundleFiles.runscLog(directory), { force: true }),
    rm(bundleFiles.panicLog(directory), { force: true }),
    rm(bundleFiles.suspension(directory), { force: true }),
    writeFile(bundleFiles.build(directory), build, { mode: 0o600 }),
    // Saved memory knows the root as it was, and brings its own mounts.
    restored ? undefined : ensureTmp(spec.root),
    ...Array.from({ length: volumeSlots }, async (_, slot) =>
      mkdir(volumeSource(directory, slot), { recursive: true, mode: 0o755 }),
    ),
  ]);
}

/**
 * Makes sure that `/tmp` of a root that nobody runs in is a directory that is not empty: runsc covers an empty or absent one with a tmpfs without
 * a size, and a full one of those ends the sandbox. What an image or an earlier boot left in its place goes.
 */
async function ensureTmp(root: string): Promise<void> {
  const path = join(root, 'tmp');
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    await rm(path, { force: true });
    await mkdir(path);
    await chmod(path, 0o1777);
  }
  const entries = await opendir(path);
  const first = await entries.read();
  await entries.close();
  if (first === null) await writeFile(join(path, '.skerry'), '', { flag: 'wx', mode: 0o444 });
}

/** The stamp of the runsc that a boot was started with; `undefined` for a boot of a Skerry that did not write it down. */
export async function readBuild(directory: string): Promise<string | undefined> {
  const build = await readFileIfExists(bundleFiles.build(directory));
  return build === '' ? undefined : build;
}
