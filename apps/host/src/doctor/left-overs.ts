import { readdir, readFile } from 'node:fs/promises';
import { readFileIfExists, tryCommand } from '@skerry/kit';
import { type Check, type Finding, pass, warn } from './finding.ts';

/** Ids of instances in the names that Skerry gives to things of the kernel, with what carries them. */
export function instancesIn(names: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const [, link, table, group, folder] =
      /^(?:sk([a-z0-9]{6})[-v]\d+|skerry_([a-z0-9]{6})\w*|skerry-([a-z0-9]{6})|\/run\/skerry\/([a-z0-9]{6}))$/.exec(
        name,
      ) ?? [];
    const id = link ?? table ?? group ?? folder;
    if (id !== undefined) found.set(id, [...(found.get(id) ?? []), name]);
  }
  return found;
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function kernelNames(): Promise<string[]> {
  const tables = (await tryCommand('nft', ['list', 'tables']).catch(() => undefined))?.stdout ?? '';
  const groups = await Promise.all(
    ['memory', 'cpu', 'pids', 'freezer', ''].map((controller) => list(`/sys/fs/cgroup/${controller}`)),
  );
  return [
    ...(await list('/run/netns')),
    ...(await list('/sys/class/net')),
    ...tables.split(/\s+/),
    ...new Set(groups.flat()),
    ...(await list('/run/skerry')).map((name) => `/run/skerry/${name}`),
  ];
}

/** Ids of the instances of which a supervisor or a host daemon runs. */
async function livingInstances(): Promise<Set<string>> {
  const living = new Set<string>();
  for (const entry of await list('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const commandLine = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const config = /^\/run\/skerry\/([a-z0-9]{6})\/config\//.exec(
      commandLine.find((word) => word.startsWith('/run/skerry/')) ?? '',
    );
    if (config?.[1] !== undefined) living.add(config[1]);
    const data =
      commandLine.includes('--data') && commandLine.some((word) => word.endsWith('apps/supervisor/src/main.ts'));
    const identity = data
      ? await readFileIfExists(`${commandLine[commandLine.indexOf('--data') + 1]}/instance.json`).catch(() => undefined)
      : undefined;
    const id = /"id":\s*"([a-z0-9]{6})"/.exec(identity ?? '')?.[1];
    if (id !== undefined) living.add(id);
  }
  return living;
}

/** What an instance that no longer runs has left in the kernel. */
export const leftOverChecks: Check = async () => {
  const living = await livingInstances();
  const findings: Finding[] = [];
  for (const [id, names] of instancesIn(await kernelNames())) {
    if (living.has(id)) continue;
    const config = await readFileIfExists(`/run/skerry/${id}/config/host.json`).catch(() => undefined);
    const storeDir = /"storeDir":\s*"([^"]+)\/store"/.exec(config ?? '')?.[1];
    findings.push(
      warn(
        'left-overs',
        `instance ${id} does not run and left ${names.length} things, such as ${names[0]}`,
        storeDir === undefined
          ? 'Run ./skerry down --data DIR with its data directory.'
          : `./skerry up or ./skerry down, with --data ${storeDir}`,
      ),
    );
  }
  return findings.length > 0 ? findings : [pass('left-overs', 'none of a dead instance')];
};
