/** What the supervisor hands to each program of an instance, as a JSON file that only that program's user can read (`--config FILE`). Version 1. */

import type { RestPolicy } from '@skerry/model';

/** What set-up made and found; see `setup/artifacts.ts`. */
export interface ArtifactsConfig {
  readonly runsc: { readonly path: string; readonly version: string };
  readonly guest: { readonly path: string; readonly sha256: string; readonly version: string };
  readonly images: readonly {
    readonly name: string;
    readonly key: string;
    readonly archive: string;
    readonly manifest: string;
  }[];
  readonly machine: { readonly caBundle: string | null; readonly env: Readonly<Record<string, string>> };
}

export interface HostConfig {
  readonly version: 1;
  /** Six characters of `[a-z0-9]`: part of every kernel name of this instance. */
  readonly instance: string;
  /** Mount point of the btrfs store, such as `/var/lib/skerry/store`. */
  readonly storeDir: string;
  /** Loop file that is made and mounted when the data directory is not on btrfs itself. */
  readonly storeImage: string;
  /** Most that the loop file may grow to, in `MiB`. */
  readonly storeSizeMiB: number;
  readonly runDir: string;
  readonly socketPath: string;
  readonly artifacts: ArtifactsConfig;
  readonly network: NetworkConfig;
  readonly exportKeys?: ExportKeysConfig;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** What signs the exports of this instance, and whose exports it trusts with a memory image. */
export interface ExportKeysConfig {
  /** Its own Ed25519 key: PEM of PKCS #8, mode 0600. */
  readonly ownKeyFile: string;
  /** Folder of Ed25519 public keys (PEM of SPKI, `*.pem`): an import takes memory only when one of them signed it. The own one lies there as `own.pem`. */
  readonly trustedDir: string;
}

/** What a sandbox costs, in the operator's currency. */
export interface PricesConfig {
  /** Such as `EUR`. */
  readonly currency: string;
  /** An hour at each level. */
  readonly hour: { readonly awake: number; readonly frozen: number; readonly paused: number; readonly stopped: number };
  /** An hour of CPU time. */
  readonly cpuHour: number;
}

export interface NetworkConfig {
  /** Subnet of the sandboxes' unique host-side addresses, such as `10.201.16.0/20`. Its first address is the instance's own. */
  readonly subnet: string;
  readonly gatewayUid: number;
  readonly egressUid: number;
  /** Port on the instance's own address where egress answers DNS (UDP and TCP). */
  readonly resolverPort: number;
  /** Closed ranges that the operator opened, as CIDRs. */
  readonly allowEgress: readonly string[];
}

export interface ServerConfig {
  readonly version: 1;
  readonly instance: string;
  readonly databaseFile: string;
  readonly hostSocket: string;
  readonly apiSocket: string;
  readonly gatewaySocket: string;
  readonly adminSocket: string;
  /** 32 bytes, hex: access tokens are derived from it. */
  readonly masterKey: string;
  /** SHA-256 (hex) and first characters of the first API key; the server makes sure that it exists, with role `admin`. */
  readonly firstKey: { readonly hash: string; readonly hint: string };
  /** Everything costs nothing when absent. */
  readonly prices?: PricesConfig;
  /** The operator's defaults of a persistent sandbox; those of the model where absent. */
  readonly rest?: Partial<RestPolicy>;
  /** Defaults of one project (by id), and of one template (by name); they win over `rest`, the template's over the project's. */
  readonly restOf?: {
    readonly projects?: Readonly<Record<string, Partial<RestPolicy>>>;
    readonly templates?: Readonly<Record<string, Partial<RestPolicy>>>;
  };
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface GatewayConfig {
  readonly version: 1;
  readonly instance: string;
  readonly listenHost: string;
  readonly listenPort: number;
  /** Domain of `PORT-ID.DOMAIN`, such as `skerry.localhost`. */
  readonly domain: string;
  readonly apiSocket: string;
  readonly gatewaySocket: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface EgressConfig {
  readonly version: 1;
  readonly instance: string;
  readonly listenAddress: string;
  readonly resolverPort: number;
  /** Name servers of the machine. */
  readonly upstreams: readonly { readonly address: string; readonly port: number }[];
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}
