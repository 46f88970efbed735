import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { readFileIfExists, tryCommand, writeFileAtomic } from '@skerry/kit';
import { Problem, randomLabel } from '@skerry/model';
import { chooseSubnet, chooseUidBase } from './ranges.ts';

/** What an instance keeps of itself in `instance.json`. Version 1; see docs/compatibility.md. */
export interface InstanceIdentity {
  readonly version: 1;
  /** Six characters of `[a-z0-9]`: part of every kernel name of this instance. */
  readonly id: string;
  readonly uidBase: number;
  readonly subnet: string;
  readonly resolverPort: number;
  readonly domain: string;
  readonly listen: string;
  /** Whether it has ever answered: from then on a database that is not there was lost. */
  readonly ran?: boolean;
}

export interface InstanceSecrets {
  /** 32 bytes, hex. */
  readonly masterKey: string;
  /** The first API key, as clients send it. */
  readonly apiKey: string;
}

/** Reads the identity of the instance in a data directory; `undefined` when there is none yet. */
export async function readIdentity(dataDir: string): Promise<InstanceIdentity | undefined> {
  const file = join(dataDir, 'instance.json');
  const text = await readFileIfExists(file);
  if (text === undefined) return undefined;
  let value: Partial<Record<keyof InstanceIdentity, unknown>>;
  try {
    value = JSON.parse(text) as typeof value;
  } catch (cause) {
    throw new Problem('data_loss', `"${file}" is not JSON`, {
      reason: 'instance_file_broken',
      hint: 'Restore it from a backup.',
      cause,
    });
  }
  if (value.version !== 1)
    throw new Problem('unsupported', `"${file}" has version ${String(value.version)}; this Skerry reads version 1`, {
      reason: 'newer_data',
      hint: 'Run the newer Skerry that wrote it.',
    });
  const { id, uidBase, subnet, resolverPort, domain, listen, ran } = value;
  if (
    typeof id !== 'string' ||
    !/^[a-z0-9]{6}$/.test(id) ||
    typeof uidBase !== 'number' ||
    typeof subnet !== 'string' ||
    typeof resolverPort !== 'number' ||
    typeof domain !== 'string' ||
    typeof listen !== 'string'
  )
    throw new Problem('data_loss', `"${file}" lacks a field`, {
      reason: 'instance_file_broken',
      hint: 'Restore it from a backup.',
    });
  return { version: 1, id, uidBase, subnet, resolverPort, domain, listen, ...(ran === true ? { ran } : {}) };
}

/** Makes an identity that collides with nothing on this machine. It is not yet written. */
export async function newIdentity(listen: string, others: readonly InstanceIdentity[]): Promise<InstanceIdentity> {
  const id = randomLabel(6);
  const seed = createHash('sha256').update(id).digest().readUInt32BE(0);
  const accounts = `${(await readFileIfExists('/etc/passwd')) ?? ''}\n${(await readFileIfExists('/etc/group')) ?? ''}`;
  const takenIds = new Set(accounts.split('\n').map((line) => Number(line.split(':')[2])));
  return {
    version: 1,
    id,
    uidBase: chooseUidBase(
      seed,
      takenIds,
      others.map((other) => other.uidBase),
    ),
    subnet: chooseSubnet(seed, [...(await machineRanges()), ...others.map((other) => other.subnet)]),
    resolverPort: await freeResolverPort(
      seed,
      others.map((other) => other.resolverPort),
    ),
    domain: 'skerry.localhost',
    listen,
  };
}

export async function writeIdentity(dataDir: string, identity: InstanceIdentity): Promise<void> {
  await writeFileAtomic(join(dataDir, 'instance.json'), `${JSON.stringify(identity)}\n`, 0o600);
}

/** Reads the instance's secrets, and makes those that are missing. */
export async function ensureSecrets(dataDir: string): Promise<InstanceSecrets> {
  const ensure = async (name: string, make: () => string, form: RegExp): Promise<string> => {
    const file = join(dataDir, name);
    const present = (await readFileIfExists(file))?.trim();
    if (present === undefined) {
      const made = make();
      await writeFileAtomic(file, `${made}\n`, 0o600);
      return made;
    }
    if (!form.test(present))
      throw new Problem('data_loss', `"${file}" does not hold what Skerry wrote there`, {
        reason: 'secret_file_broken',
        hint: 'Restore it from a backup.',
      });
    return present;
  };
  return {
    masterKey: await ensure('master.key', () => randomBytes(32).toString('hex'), /^[0-9a-f]{64}$/),
    apiKey: await ensure('api.key', () => `skerry_${randomBytes(20).toString('hex')}`, /^(?:skerry|e2b)_[0-9a-f]{40}$/),
  };
}

/** Makes the data directory with the modes of the layout; what is there keeps its content. */
export async function ensureDataDir(dataDir: string, serverUid: number): Promise<void> {
  await ensureDirectory(dataDir, 0o711, 0);
  await ensureDirectory(join(dataDir, 'log'), 0o700, 0);
  await ensureDirectory(join(dataDir, 'server'), 0o700, serverUid);
}

/** Makes a directory, or gives an existing one this mode and owner. */
export async function ensureDirectory(path: string, mode: number, uid: number, gid = uid): Promise<void> {
  await mkdir(path, { recursive: true, mode });
  await chown(path, uid, gid);
  await chmod(path, mode);
}

/** Identities of the other instances that have run on this machine since it booted. */
export async function otherIdentities(runRoot: string, ownId: string | undefined): Promise<InstanceIdentity[]> {
  const found: InstanceIdentity[] = [];
  for (const id of await readdir(runRoot).catch(() => [])) {
    if (id === ownId) continue;
    try {
      found.push(
        JSON.parse(await readFile(join(runRoot, id, 'supervisor', 'instance.json'), 'utf8')) as InstanceIdentity,
      );
    } catch {
      // It is on its way up or down, or its run directory is a left-over: `doctor` names those.
    }
  }
  return found;
}

async function machineRanges(): Promise<string[]> {
  const routes = await tryCommand('ip', ['-json', '-4', 'route', 'show', 'table', 'all']);
  if (routes.status !== 0)
    throw new Problem('precondition_failed', `Cannot read the routes of this machine: ${routes.stderr.trim()}`, {
      hint: 'Install iproute2.',
    });
  return (JSON.parse(routes.stdout || '[]') as { dst?: string }[]).flatMap((route) =>
    route.dst === undefined || route.dst === 'default' ? [] : [route.dst],
  );
}

async function freeResolverPort(seed: number, taken: readonly number[]): Promise<number> {
  for (let n = 0; n < 1000; n++) {
    const port = 10_053 + ((seed + n) % 1000);
    if (!taken.includes(port) && (await portIsFree(port))) return port;
  }
  throw new Problem('exhausted', 'All ports from 10053 to 11052 are taken', { exhaustion: 'capacity' });
}

async function portIsFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
