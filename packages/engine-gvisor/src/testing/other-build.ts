import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';

export interface OtherBuild {
  readonly path: string;
  readonly version: string;
}

/**
 * Another build of runsc in a moment: the same binary with another stamp of the same length. The linker's `-X` does nothing but to lay those bytes
 * down, so this is what a build with that stamp would be, and each of the two refuses the memory images of the other, as two versions do.
 */
export async function makeOtherBuild(directory: string, of: { path: string; version: string }): Promise<OtherBuild> {
  const version = 'z'.repeat(of.version.length);
  const binary = await readFile(of.path);
  const [from, to] = [Buffer.from(of.version), Buffer.from(version)];
  let found = 0;
  for (let at = binary.indexOf(from); at !== -1; at = binary.indexOf(from, at + to.length)) {
    to.copy(binary, at);
    found += 1;
  }
  if (found === 0) throw new Error(`The stamp "${of.version}" is not in "${of.path}"`);
  const path = join(directory, 'other-runsc');
  await writeFile(path, binary, { mode: 0o755 });
  const told = await runCommand(path, ['--version']);
  if (!told.startsWith(`runsc version ${version}\n`)) throw new Error(`The other build says "${told}"`);
  return { path, version };
}
