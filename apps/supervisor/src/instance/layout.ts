import { join } from 'node:path';
import type { InstanceIdentity } from './identity.ts';

export const runRoot = '/run/skerry';

/** The four programs of an instance. */
export const programNames = ['host', 'server', 'egress', 'gateway'] as const;
export type ProgramName = (typeof programNames)[number];

/** Where everything of one instance is, and which numeric users its programs have. */
export interface Layout {
  readonly dataDir: string;
  readonly storeDir: string;
  readonly storeImage: string;
  readonly logDir: string;
  readonly serverDir: string;
  readonly endpointFile: string;
  readonly lockFile: string;
  readonly runDir: string;
  readonly appDir: string;
  /** Where an unprivileged program's own root is mounted, in its own namespace. */
  readonly rootDir: string;
  /** Where the server sees `serverDir`, whatever the modes of the folders above it. */
  readonly serverDirInside: string;
  readonly configDir: string;
  readonly hostSocket: string;
  readonly apiSocket: string;
  readonly gatewaySocket: string;
  readonly adminSocket: string;
  readonly controlSocket: string;
  readonly uids: Readonly<Record<ProgramName, number>>;
}

/** The lock of a data directory, also before it holds an instance. */
export function lockFileOf(dataDir: string): string {
  return join(dataDir, 'supervisor.lock');
}

export function layoutOf(dataDir: string, identity: InstanceIdentity): Layout {
  const runDir = join(runRoot, identity.id);
  return {
    dataDir,
    storeDir: join(dataDir, 'store'),
    storeImage: join(dataDir, 'store.img'),
    logDir: join(dataDir, 'log'),
    serverDir: join(dataDir, 'server'),
    endpointFile: join(dataDir, 'endpoint.json'),
    lockFile: lockFileOf(dataDir),
    runDir,
    appDir: join(runDir, 'app'),
    rootDir: join(runDir, 'root'),
    serverDirInside: join(runDir, 'server-data'),
    configDir: join(runDir, 'config'),
    hostSocket: join(runDir, 'host', 'host.sock'),
    apiSocket: join(runDir, 'server', 'api.sock'),
    gatewaySocket: join(runDir, 'server', 'gateway.sock'),
    adminSocket: join(runDir, 'admin', 'admin.sock'),
    controlSocket: join(runDir, 'supervisor', 'control.sock'),
    uids: { host: 0, server: identity.uidBase + 1, gateway: identity.uidBase + 2, egress: identity.uidBase + 3 },
  };
}

export function configFileOf(layout: Layout, program: ProgramName): string {
  return join(layout.configDir, `${program}.json`);
}
