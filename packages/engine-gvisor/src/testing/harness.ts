import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, EngineBootSpec } from '@skerry/engine';
import type { EngineHarness, GuestBehaviour } from '@skerry/engine/conformance';
import { createLog, runCommand } from '@skerry/kit';
import { type BootId, newId, randomLabel } from '@skerry/model';
import { createGvisorEngine, type GvisorEngineOptions } from '../index.ts';

/** A place of its own for real boots: state, network namespace, roots, and the guest of `guest.go`. */
export interface GvisorHarness extends EngineHarness {
  readonly options: GvisorEngineOptions;
  readonly directory: string;
  /** A spec whose guest runs a script of `guest.go`, such as `exit 3`. */
  scripted(script: string, change?: Partial<EngineBootSpec>): Promise<EngineBootSpec>;
  /** Another engine over the same place, of which these options differ. */
  engineWith(change: Partial<GvisorEngineOptions>): Engine;
}

interface Tools {
  readonly runscPath: string;
  readonly runscVersion: string;
  readonly guestPath: string;
  /** Archive of the base image. */
  readonly archive: string;
  readonly directory: string;
}

let tools: Promise<Tools> | undefined;

/** The runsc of set-up and a fresh guest, made once for a test file. */
async function prepareTools(): Promise<Tools> {
  const repository = join(import.meta.dirname, '../../../..');
  const artifacts = JSON.parse(
    await runCommand(process.execPath, ['setup/main.ts', '--json'], { cwd: repository, deadlineMs: 600_000 }),
  ) as {
    runsc: { path: string; version: string };
    images: { archive: string }[];
  };
  const directory = await mkdtemp(join(tmpdir(), 'engine-gvisor-guest-'));
  const guestPath = join(directory, 'guest');
  const source = join(import.meta.dirname, 'guest.go');
  await runCommand('go', ['build', '-trimpath', '-o', guestPath, source], {
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  const { path: runscPath, version: runscVersion } = artifacts.runsc;
  return { runscPath, runscVersion, guestPath, archive: artifacts.images[0]?.archive ?? '', directory };
}

/** Removes what `makeHarness` keeps for a whole test file. */
export async function removeTools(): Promise<void> {
  if (tools !== undefined) await rm((await tools).directory, { recursive: true, force: true });
  tools = undefined;
}

function scriptOf(behaviour: GuestBehaviour): string {
  if (behaviour.kind === 'stay') return '';
  if (behaviour.kind === 'count') return 'count';
  return behaviour.kind === 'exit' ? `exit ${behaviour.status}` : `kill ${behaviour.signal}`;
}

/** The archive of set-up's base image. */
export async function baseArchive(): Promise<string> {
  tools ??= prepareTools();
  return (await tools).archive;
}

/** A place for boots; below `parent`, such as one on a btrfs. */
export async function makeHarness(parent = tmpdir()): Promise<GvisorHarness> {
  tools ??= prepareTools();
  const { runscPath, runscVersion, guestPath } = await tools;
  const instance = `t${randomLabel(5)}`;
  const namespace = `sk${instance}-0`;
  const directory = await mkdtemp(join(parent, 'engine-gvisor-'));
  const options: GvisorEngineOptions = {
    runscPath,
    runscVersion,
    instance,
    stateDir: join(directory, 'state'),
    buildsDir: join(directory, 'builds'),
    log: createLog('engine-gvisor', 'warn'),
  };
  await runCommand('ip', ['netns', 'add', namespace]);
  await runCommand('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  await writeFile(join(directory, 'resolv.conf'), 'nameserver 172.31.255.1\n');
  let engine: Engine = createGvisorEngine(options);

  const scripted = async (script: string, change: Partial<EngineBootSpec> = {}): Promise<EngineBootSpec> => {
    const bootId = newId('boot');
    const boot = join(directory, bootId);
    await mkdir(boot, { mode: 0o700 });
    await mkdir(join(boot, 'root/etc'), { recursive: true });
    return {
      bootId,
      directory: boot,
      root: join(boot, 'root'),
      hostname: 'test',
      networkNamespace: `/run/netns/${namespace}`,
      resolvConf: join(directory, 'resolv.conf'),
      guestPath,
      guestEnv: { SCRIPT: script },
      cpus: 1,
      memoryMiB: 256,
      logPath: join(boot, 'guest.log'),
      ...change,
    };
  };

  return {
    engine,
    options,
    directory,
    scripted,
    spec: async (behaviour) => scripted(scriptOf(behaviour)),
    count: async ({ logPath }) => lastNumber(await readFile(logPath, 'utf8').catch(() => '')),
    copy: async ({ root }) => {
      const spec = await scripted('');
      await rm(spec.root, { recursive: true });
      await runCommand('cp', ['--archive', '--reflink=auto', root, spec.root]);
      return spec;
    },
    emptyDirectory: async () => mkdtemp(join(directory, 'memory-')),
    restart: () => {
      engine = createGvisorEngine(options);
      return engine;
    },
    engineWith: (change) => createGvisorEngine({ ...options, ...change }),
    leftovers: async (bootId) => findLeftovers(options, bootId),
    [Symbol.asyncDispose]: async () => {
      for (const bootId of await engine.list()) await engine.remove(bootId, join(directory, bootId));
      await engine.clear();
      await runCommand('ip', ['netns', 'delete', namespace]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The last line of a log that is a number; 0 without one. */
function lastNumber(log: string): number {
  return Number(/(?:^|\n)(\d+)\n(?![\s\S]*\n)/.exec(log)?.[1] ?? 0);
}

/** Everything of a boot that a look at the whole machine finds: processes, control groups, files of runsc, mounts. */
async function findLeftovers({ instance, stateDir }: GvisorEngineOptions, bootId: BootId): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const [commandLine, groups] = await Promise.all(
      ['cmdline', 'cgroup'].map(async (file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    if (commandLine?.includes(bootId) === true || groups?.includes(bootId) === true) found.push(`process ${pid}`);
  }
  for (const hierarchy of ['', ...(await readdir('/sys/fs/cgroup'))]) {
    const group = join('/sys/fs/cgroup', hierarchy, `skerry-${instance}`, bootId);
    if (await exists(group)) found.push(group);
  }
  for (const place of [stateDir, '/run', '/tmp']) {
    const names = await readdir(place).catch(() => []);
    found.push(...names.filter((name) => name.includes(bootId)).map((name) => join(place, name)));
  }
  if ((await readFile('/proc/mounts', 'utf8')).includes(bootId)) found.push('mount');
  return found;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
