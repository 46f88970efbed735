import { readFile, stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { formatBytes, readFileIfExists, tryCommand } from '@skerry/kit';
import { type Check, type DoctorQuestion, type Finding, fail, pass, warn } from './finding.ts';

const wantedFreeBytes = 20 * 2 ** 30;
const leastFreeBytes = 4 * 2 ** 30;

async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder))
    if (
      folder === '/' ||
      (await stat(folder).then(
        (found) => found.isDirectory(),
        () => false,
      ))
    )
      return folder;
}

async function space({ dataDir }: DoctorQuestion): Promise<Finding> {
  const folder = await nearestFolder(dataDir);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${formatBytes(free)} free for "${dataDir}"`;
  if (free < leastFreeBytes)
    return fail(
      'disk space',
      found,
      `Free at least ${formatBytes(leastFreeBytes)}, or choose another place with --data.`,
    );
  if (free < wantedFreeBytes)
    return warn('disk space', found, 'A few sandboxes with packages take more: plan for 20 GiB.');
  return pass('disk space', found);
}

async function memory(): Promise<Finding> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const available = Number(/^MemAvailable:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
  const found = `${formatBytes(available)} available`;
  return available < 2 ** 30
    ? warn('memory', found, 'Sandboxes of 1 GiB will meet the limit of the machine.')
    : pass('memory', found);
}

/** Whether a port can be listened on, and by whom it is taken is for the reader to find. */
async function port({ listenHost, listenPort, dataDir }: DoctorQuestion): Promise<Finding> {
  const need = 'port';
  const endpoint = await readFileIfExists(`${dataDir}/endpoint.json`).catch(() => undefined);
  if (endpoint?.includes(`:${listenPort}`) === true) return pass(need, `${listenPort} is this instance's own`);
  const server = createServer();
  const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen(listenPort, listenHost, () => resolve(undefined));
  });
  if (problem === undefined) {
    await new Promise((resolve) => server.close(resolve));
    return pass(need, `${listenHost}:${listenPort} is free`);
  }
  return fail(
    need,
    `${listenHost}:${listenPort} cannot be used (${problem.code ?? problem.message})`,
    'Choose another with --listen.',
  );
}

async function resolver(): Promise<Finding> {
  const servers = [...((await readFileIfExists('/etc/resolv.conf')) ?? '').matchAll(/^nameserver\s+(\S+)/gm)].map(
    (match) => match[1],
  );
  return servers.length > 0
    ? pass('name servers', servers.join(', '))
    : fail('name servers', '/etc/resolv.conf names none', 'Name one there: the sandboxes’ resolver forwards to it.');
}

/** The machine's own firewall: a base chain of another program that drops what it does not know also drops what sandboxes send out. */
async function forwarding(): Promise<Finding> {
  const need = 'forwarding';
  const { status, stdout } = await tryCommand('nft', ['-j', 'list', 'chains']);
  if (status !== 0) return warn(need, 'the packet filter cannot be read', 'Install nftables, and run this as root.');
  const closed = droppingChains(stdout);
  return closed.length === 0
    ? pass(need, 'no other firewall drops what sandboxes send out')
    : warn(
        need,
        `${closed.join(', ')} drops forwarded packets by default`,
        'Let that firewall accept what comes from and goes to the links "sk*", or sandboxes do not reach the internet.',
      );
}

/** Base chains, as `nft -j list chains` tells them, that drop forwarded packets unless a rule accepts them, but for Skerry's own. */
export function droppingChains(listing: string): string[] {
  const { nftables } = JSON.parse(listing) as {
    nftables: { chain?: { family: string; table: string; name: string; hook?: string; policy?: string } }[];
  };
  return nftables.flatMap(({ chain }) =>
    chain?.hook === 'forward' && chain.policy === 'drop' && !chain.table.startsWith('skerry_')
      ? [`"${chain.family} ${chain.table} ${chain.name}"`]
      : [],
  );
}

/** Where things lie and how they are reached. */
export const placeChecks: Check = async (question) =>
  Promise.all([space(question), memory(), port(question), resolver(), forwarding()]);
