import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentKey, exists, makeScratch, publish } from './cache.ts';
import { GO_ENV, type GoToolchain } from './go-toolchain.ts';
import { runCommand } from './run-command.ts';
import { type SmokeResult, smokeTest } from './runsc-smoke.ts';
import type { Stage } from './stage.ts';

export interface RunscBuild {
  readonly path: string;
  readonly version: string;
}

/** Changing a flag makes another build, which refuses the memory images of this one: the flags are part of the version. */
const BUILD_FLAGS: readonly string[] = ['-trimpath', '-ldflags=-s -w'];
const PACKAGE = 'gvisor.dev/gvisor/runsc';

/** The key of a build, and the version that is stamped into it. */
export function runscKey(
  goMod: Buffer | string,
  goSum: Buffer | string,
  go: GoToolchain,
): { key: string; version: string } {
  const key = contentKey({
    'go.mod': goMod,
    'go.sum': goSum,
    go: `${go.version} ${go.architecture}`,
    flags: BUILD_FLAGS.join(' '),
  });
  return { key, version: `skerry-${key.slice(0, 12)}` };
}

/** gVisor's runsc, built from its Go module and kept only when it survives the smoke test in a root file system from `rootfsArchive`. */
export async function runscStage(
  cache: string,
  moduleFolder: string,
  go: GoToolchain,
  rootfsArchive: () => Promise<string>,
): Promise<Stage<RunscBuild>> {
  const [goMod, goSum] = await Promise.all([
    readFile(join(moduleFolder, 'go.mod')),
    readFile(join(moduleFolder, 'go.sum')),
  ]);
  const { key, version } = runscKey(goMod, goSum, go);
  const target = join(cache, 'runsc', key);
  const result: RunscBuild = { path: join(target, 'runsc'), version };
  return {
    name: 'runsc',
    does: "building gVisor's runsc from its Go module and proving it with 50 starts (two to three minutes, once)",
    async find() {
      return (await exists(result.path)) && (await exists(join(target, 'smoke.json'))) ? result : null;
    },
    async build(say) {
      const scratch = await makeScratch(cache, 'runsc');
      const binary = join(scratch, 'runsc');
      const begun = performance.now();
      const flags = BUILD_FLAGS.map((flag) =>
        flag.startsWith('-ldflags=') ? `${flag} -X ${PACKAGE}/version.version=${version}` : flag,
      );
      await runCommand('go', ['build', ...flags, '-o', binary, PACKAGE], { cwd: moduleFolder, env: GO_ENV });
      await chmod(binary, 0o755);
      say(`${version} compiled in ${((performance.now() - begun) / 1000).toFixed(1)} s; proving it`);
      const smoke: SmokeResult = await smokeTest(cache, binary, await rootfsArchive());
      say(`${smoke.starts} starts without a failure in ${(smoke.ms / 1000).toFixed(1)} s`);
      await writeFile(join(scratch, 'smoke.json'), `${JSON.stringify({ version, go: go.version, ...smoke })}\n`);
      await publish(scratch, target);
      return result;
    },
  };
}
