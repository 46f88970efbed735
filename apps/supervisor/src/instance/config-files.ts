import { createHash } from 'node:crypto';
import { chown, readFile, statfs } from 'node:fs/promises';
import { isIP } from 'node:net';
import { readFileIfExists, writeFileAtomic } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type {
  ArtifactsConfig,
  EgressConfig,
  ExportKeysConfig,
  GatewayConfig,
  HostConfig,
  ServerConfig,
} from '@skerry/protocol';
import type { InstanceIdentity, InstanceSecrets } from './identity.ts';
import { configFileOf, type Layout, type ProgramName } from './layout.ts';
import type { ListenAddress } from './listen.ts';
import { ownAddress } from './ranges.ts';
import type { Settings } from './settings.ts';

export interface ConfigFacts {
  readonly layout: Layout;
  readonly identity: InstanceIdentity;
  readonly secrets: InstanceSecrets;
  readonly artifacts: ArtifactsConfig;
  readonly listen: ListenAddress;
  readonly allowEgress: readonly string[];
  readonly settings: Settings;
  readonly exportKeys: ExportKeysConfig;
}

type Configs = { host: HostConfig; server: ServerConfig; gateway: GatewayConfig; egress: EgressConfig };

/** Writes each program's configuration, readable by that program's user alone. */
export async function writeConfigFiles(facts: ConfigFacts): Promise<void> {
  const configs = await makeConfigs(facts);
  for (const [name, config] of Object.entries(configs) as [ProgramName, unknown][]) {
    const file = configFileOf(facts.layout, name);
    await writeFileAtomic(file, `${JSON.stringify(config)}\n`, 0o400);
    await chown(file, facts.layout.uids[name], facts.layout.uids[name]);
  }
}

async function makeConfigs({
  layout,
  identity,
  secrets,
  artifacts,
  listen,
  allowEgress,
  settings,
  exportKeys,
}: ConfigFacts): Promise<Configs> {
  const all = { version: 1, instance: identity.id, logLevel: logLevel() } as const;
  return {
    host: {
      ...all,
      storeDir: layout.storeDir,
      storeImage: layout.storeImage,
      storeSizeMiB: await storeSizeMiB(layout),
      runDir: layout.runDir,
      socketPath: layout.hostSocket,
      artifacts,
      network: {
        subnet: identity.subnet,
        gatewayUid: layout.uids.gateway,
        egressUid: layout.uids.egress,
        resolverPort: identity.resolverPort,
        allowEgress,
      },
      exportKeys,
    },
    server: {
      ...all,
      databaseFile: `${layout.serverDirInside}/skerry.db`,
      hostSocket: layout.hostSocket,
      apiSocket: layout.apiSocket,
      gatewaySocket: layout.gatewaySocket,
      adminSocket: layout.adminSocket,
      masterKey: secrets.masterKey,
      firstKey: {
        hash: createHash('sha256').update(secrets.apiKey).digest('hex'),
        hint: secrets.apiKey.slice(0, secrets.apiKey.indexOf('_') + 5),
      },
      ...settings,
    },
    gateway: {
      ...all,
      listenHost: listen.host,
      listenPort: listen.port,
      domain: identity.domain,
      apiSocket: layout.apiSocket,
      gatewaySocket: layout.gatewaySocket,
    },
    egress: {
      ...all,
      listenAddress: ownAddress(identity.subnet),
      resolverPort: identity.resolverPort,
      upstreams: parseNameServers((await readFileIfExists('/etc/resolv.conf')) ?? ''),
    },
  };
}

/** Name servers of a resolv.conf; that of the machine itself when it names none, as the resolver library does. */
export function parseNameServers(resolvConf: string): EgressConfig['upstreams'] {
  const found = resolvConf
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1])
    .filter((address) => address !== undefined && isIP(address.split('%')[0] ?? '') !== 0)
    .map((address) => ({ address: address ?? '', port: 53 }));
  return found.length === 0 ? [{ address: '127.0.0.1', port: 53 }] : found;
}

/** Reads what set-up made. Throws `precondition_failed`. */
export async function readArtifacts(file: string): Promise<ArtifactsConfig> {
  let value: Partial<ArtifactsConfig>;
  try {
    value = JSON.parse(await readFile(file, 'utf8')) as Partial<ArtifactsConfig>;
  } catch (cause) {
    throw new Problem('precondition_failed', `Cannot read what set-up made from "${file}"`, {
      hint: 'Run "skerry up".',
      cause,
    });
  }
  const { runsc, guest, images, machine } = value;
  if (runsc === undefined || guest === undefined || images === undefined || machine === undefined)
    throw new Problem('precondition_failed', `"${file}" is no answer of set-up`, { hint: 'Run "skerry up".' });
  // What else set-up says is for people and tests.
  return { runsc, guest, images, machine };
}

function logLevel(): HostConfig['logLevel'] {
  const wanted = process.env['SKERRY_LOG_LEVEL'];
  return wanted === 'debug' || wanted === 'warn' || wanted === 'error' ? wanted : 'info';
}

/** Nine tenths of the file system that holds the data directory: the host refuses work before that is full. */
async function storeSizeMiB(layout: Layout): Promise<number> {
  const { bsize, blocks } = await statfs(layout.dataDir);
  return Math.max(1024, Math.floor((bsize * blocks * 0.9) / 1024 / 1024));
}
