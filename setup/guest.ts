import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { contentKey, exists, makeOpenFolder, makeScratch, publish } from './cache.ts';
import { GO_ENV, type GoToolchain } from './go-toolchain.ts';
import { runCommand } from './run-command.ts';
import { SetupFailure } from './setup-failure.ts';
import type { Stage } from './stage.ts';

export interface GuestBuild {
  readonly path: string;
  /** Digest of the binary, and the name of its folder: paused sandboxes need the very file that they started with. */
  readonly sha256: string;
  readonly version: string;
}

const BUILD_FLAGS: readonly string[] = ['-trimpath', '-ldflags=-s -w'];

/** The files that make the binary, sorted: Go sources without tests, the module files, embedded data. Nested modules are others' business. */
export async function guestSources(folder: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (path: string): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true });
    if (path !== folder && entries.some((entry) => entry.name === 'go.mod')) return;
    for (const entry of entries) {
      const child = join(path, entry.name);
      if (entry.isDirectory() && entry.name !== 'testdata') await walk(child);
      else if (entry.isFile() && !entry.name.endsWith('_test.go')) found.push(child);
    }
  };
  await walk(folder);
  return found.sort();
}

/** The guest binary of this clone, built from `folder` and kept under its own digest. */
export async function guestStage(cache: string, folder: string, go: GoToolchain): Promise<Stage<GuestBuild>> {
  const sources = await guestSources(folder);
  if (!sources.includes(join(folder, 'go.mod'))) {
    throw new SetupFailure(`Cannot build the guest: "${folder}" has no go.mod.`, 'Check out the whole repository.');
  }
  const parts: Record<string, string | Buffer> = {
    go: `${go.version} ${go.architecture}`,
    flags: BUILD_FLAGS.join(' '),
  };
  for (const path of sources) parts[relative(folder, path)] = await readFile(path);
  const key = contentKey(parts);
  const version = `skerry-guest-${key.slice(0, 12)}`;
  const named = (sha256: string): GuestBuild => ({
    path: join(cache, 'guest', sha256, 'skerry-guest'),
    sha256,
    version,
  });
  const pointer = join(cache, 'guest', 'by-source', key);
  return {
    name: 'guest',
    does: 'building skerry-guest, the first process of every sandbox, from guest/',
    async find() {
      const sha256 = await readFile(join(pointer, 'sha256'), 'utf8').catch(() => null);
      if (sha256 === null) return null;
      const build = named(sha256.trim());
      return (await exists(build.path)) ? build : null;
    },
    async build() {
      const scratch = await makeScratch(cache, 'guest');
      const binary = join(scratch, 'skerry-guest');
      const flags = BUILD_FLAGS.map((flag) =>
        flag.startsWith('-ldflags=') ? `${flag} -X main.version=${version}` : flag,
      );
      await runCommand('go', ['build', ...flags, '-o', binary, '.'], { cwd: folder, env: GO_ENV });
      await chmod(binary, 0o755);
      const sha256 = createHash('sha256')
        .update(await readFile(binary))
        .digest('hex');
      const build = named(sha256);
      // Two sources can give one binary: it may be mounted in running sandboxes, so the file that is there stays.
      if (!(await exists(build.path))) await publish(scratch, join(cache, 'guest', sha256));
      const note = await makeScratch(cache, 'guest-pointer');
      await makeOpenFolder(join(cache, 'guest', 'by-source'));
      await writeFile(join(note, 'sha256'), `${sha256}\n`);
      await publish(note, pointer);
      return build;
    },
  };
}
