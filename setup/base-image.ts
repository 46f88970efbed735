import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { debianSources, readAptSources, renderDeb822 } from './apt-sources.ts';
import type { ImageArtifact, ImageManifest } from './artifacts.ts';
import { contentKey, exists, makeScratch, publish } from './cache.ts';
import { requireDebian } from './debian-packages.ts';
import { runCommand } from './run-command.ts';
import { SetupFailure } from './setup-failure.ts';
import type { Stage } from './stage.ts';

const CONFIG: ImageManifest['config'] = {
  env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' },
  user: 'user',
  workdir: '/home/user',
};

/** Left out of every package, now and later: what a person reads in a browser. Licences stay. */
const DPKG_OPTIONS: readonly string[] = [
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
  'path-exclude=/usr/share/locale/*',
  'path-include=/usr/share/locale/locale.alias',
];

interface Recipe {
  readonly codename: string;
  readonly sources: string;
  readonly packages: readonly string[];
  readonly key: string;
}

/**
 * The base image from the machine's own Debian sources. Its key has no date in it, so that the same clone on the same machine keeps its image;
 * `refresh` raises a counter beside the images, which makes another key and so a fresh build with today's packages.
 */
export async function baseImageStage(
  cache: string,
  repository: string,
  refresh: boolean,
): Promise<Stage<ImageArtifact>> {
  const counter = join(cache, 'images', 'base.generation');
  const before = await readGeneration(counter);
  const generation = refresh ? before + 1 : before;
  const recipe = await readRecipe(repository, generation);
  const target = join(cache, 'images', `base-${recipe.key}`);
  const image: ImageArtifact = {
    name: 'base',
    key: recipe.key,
    archive: join(target, 'rootfs.tar.zst'),
    manifest: join(target, 'image.json'),
  };
  return {
    name: 'base image',
    does: `building the base image from this machine's own Debian package sources (about a minute, once)`,
    async find() {
      return (await exists(image.manifest)) && (await exists(image.archive)) ? image : null;
    },
    async build(say) {
      const scratch = await makeScratch(cache, 'base');
      const tree = join(await makeScratch(cache, 'base-tree'), 'rootfs');
      await buildTree(recipe, repository, tree, dirname(tree));
      say('packing it');
      await pack(tree, join(scratch, 'rootfs.tar.zst'));
      const manifest = await describe(tree, recipe.key);
      await writeFile(join(scratch, 'image.json'), `${JSON.stringify(manifest, null, 2)}\n`);
      await rm(dirname(tree), { recursive: true, force: true });
      await publish(scratch, target);
      if (refresh) await writeFile(counter, `${generation}\n`);
      return image;
    },
  };
}

async function readGeneration(path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '0');
  return Number.parseInt(text, 10) || 0;
}

async function readRecipe(repository: string, generation: number): Promise<Recipe> {
  const codename = await requireDebian();
  const sources = debianSources(await readAptSources('/etc/apt'), codename);
  if (!sources.some((source) => source.suites.includes(codename))) {
    throw new SetupFailure(
      `Cannot build the base image: this machine's apt has no http(s) source for Debian "${codename}", component "main".`,
      "Add Debian's own archive to /etc/apt/sources.list.d and run the same command again.",
    );
  }
  const folder = join(repository, 'setup', 'base');
  const parts: Record<string, string | Buffer> = {
    generation: String(generation),
    codename,
    architecture: process.arch,
    sources: renderDeb822(sources),
    dpkg: DPKG_OPTIONS.join('\n'),
    config: JSON.stringify(CONFIG),
    node: await packageVersion(nodePackage(repository)),
    npm: await packageVersion(join(repository, 'node_modules', 'npm')),
    corepack: await packageVersion(join(repository, 'node_modules', 'corepack')),
  };
  for (const name of (await readdir(folder)).sort()) parts[name] = await readFile(join(folder, name));
  const packages = (await readFile(join(folder, 'packages.txt'), 'utf8')).split('\n').filter((line) => line !== '');
  return { codename, sources: renderDeb822(sources), packages, key: contentKey(parts).slice(0, 32) };
}

function nodePackage(repository: string): string {
  return join(repository, 'node_modules', `node-linux-${process.arch}`);
}

async function packageVersion(folder: string): Promise<string> {
  return (
    (await readFile(join(folder, 'package.json'), 'utf8').then((text) => /"version":\s*"([^"]+)"/.exec(text)?.[1])) ??
    ''
  );
}

async function buildTree(recipe: Recipe, repository: string, tree: string, scratch: string): Promise<void> {
  const sourcesFile = join(scratch, 'debian.sources');
  await writeFile(sourcesFile, recipe.sources);
  const args = [
    '--mode=root',
    '--variant=minbase',
    '--format=directory',
    `--include=${recipe.packages.join(',')}`,
    '--aptopt=APT::Install-Recommends "false"',
    ...DPKG_OPTIONS.map((option) => `--dpkgopt=${option}`),
    `--customize-hook=sh '${join(repository, 'setup', 'base', 'customize.sh').replaceAll("'", `'\\''`)}' "$1"`,
    recipe.codename,
    tree,
    sourcesFile,
  ];
  // Namespaces of its own: mounts and processes of an interrupted build end with it.
  const isolated = ['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  await runCommand('setpriv', [...isolated, 'mmdebstrap', ...args], {
    env: {
      ...(await aptProxies()),
      TMPDIR: scratch,
      LC_ALL: 'C.UTF-8',
      BASE_SOURCES: sourcesFile,
      BASE_NODE: nodePackage(repository),
      BASE_NPM: join(repository, 'node_modules', 'npm'),
      BASE_COREPACK: join(repository, 'node_modules', 'corepack'),
    },
  });
}

/** The proxies of this machine's apt, as the variables that mmdebstrap's own apt obeys; mmdebstrap does not read the machine's settings. */
async function aptProxies(): Promise<Record<string, string>> {
  const dump = await runCommand('apt-config', [
    'dump',
    '--format=%F=%v%n',
    'Acquire::http::Proxy',
    'Acquire::https::Proxy',
  ]);
  const proxies: Record<string, string> = {};
  for (const line of dump.split('\n')) {
    const match = /^Acquire::(https?)::Proxy=(http\S+)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) proxies[`${match[1]}_proxy`] = match[2];
  }
  return proxies;
}

/** Packs a tree with numeric owners, modes and all extended attributes, file capabilities included. */
export async function pack(tree: string, archive: string): Promise<void> {
  // Device nodes, kernel file systems and run-time state are made anew for each sandbox.
  const excluded = ['dev', 'proc', 'sys', 'run', 'tmp'].map((folder) => `--exclude=./${folder}/*`);
  await runCommand('tar', [
    ...['--numeric-owner', '--xattrs', '--xattrs-include=*', '--sort=name', '--use-compress-program=zstd -3 -T0'],
    ...excluded,
    ...['-C', tree, '-cf', archive, '.'],
  ]);
}

async function describe(tree: string, key: string): Promise<ImageManifest> {
  const first = (text: string): number => Number.parseInt(text, 10);
  const sizeBytes = first(await runCommand('du', ['-s', '--apparent-size', '--block-size=1', tree]));
  const files = first(await runCommand('du', ['-s', '--inodes', tree]));
  return { name: 'base', key, createdAt: new Date().toISOString(), sizeBytes, files, config: CONFIG };
}
