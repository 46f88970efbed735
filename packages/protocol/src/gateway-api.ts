/**
 * Between gateway and server: JSON over HTTP on the server's gateway socket. The gateway calls; routes and revocations are pushed to it on a
 * stream that it keeps open. Version in the path.
 */
import type { BootId, ProjectId, SandboxId, SandboxStatus } from '@skerry/model';

export const gatewayPaths = {
  /** NDJSON of `RouteEvent`s: every route, then `synced`, then changes; an empty line every 15 s keeps it alive. */
  routes: 'GET /v1/routes',
  /** `AuthorizeRequest` → `AuthorizeAnswer`, or a problem. */
  authorize: 'POST /v1/authorize',
  /** `ResolveRequest` → `ResolveAnswer`, or a problem. Waits while the sandbox is about to run. */
  resolve: 'POST /v1/resolve',
  /** `ActivityReport` → `{}`: what came through the door since the last report; at most one a second, only when there is something. */
  activity: 'POST /v1/activity',
  /** `DrainAnswer` → `{}`: the answer to a `drain` event. */
  drained: 'POST /v1/drained',
} as const;

/** Where the gateway finds a running sandbox. It holds the sandbox's token: never logged, never given out. */
export interface Route {
  readonly sandboxId: SandboxId;
  readonly projectId: ProjectId;
  readonly name: string;
  readonly bootId: BootId;
  readonly status: SandboxStatus;
  /** Address of the sandbox as seen from the gateway. */
  readonly address: string;
  readonly generation: number;
  readonly accessToken: string;
  /** Whether ports other than the guest's need a credential. */
  readonly portAccess: 'private' | 'public';
  /** Whether it rests in RAM or is about to: it must be resolved again before anything is sent to it. */
  readonly resting: boolean;
}

export type RouteEvent =
  | { readonly type: 'route'; readonly route: Route }
  | { readonly type: 'gone'; readonly sandboxId: SandboxId }
  /** An API key was revoked: everything cached for it is void. `keyHash` is SHA-256 of the key, hex. */
  | { readonly type: 'revoked'; readonly keyHash: string }
  /**
   * The server wants to rest this boot: from now on new requests wait, and `drained` is answered. With `force` the open streams are ended in
   * order first; without, a gateway that has requests under way answers `busy` and lets everything go on.
   */
  | { readonly type: 'drain'; readonly sandboxId: SandboxId; readonly bootId: BootId; readonly force: boolean }
  | { readonly type: 'synced' };

export interface AuthorizeRequest {
  /** The API key as the client sent it. */
  readonly key: string;
}
/** Who the key is; valid for `ttlMs` unless revoked. */
export interface AuthorizeAnswer {
  readonly projectId: ProjectId;
  readonly role: 'admin' | 'member' | 'viewer';
  readonly ttlMs: number;
}

export interface ResolveRequest {
  /** Id or name; names are looked up in the project. */
  readonly sandbox: string;
  /** Project of the caller; absent when only the sandbox's own token or a public port is used. */
  readonly projectId?: ProjectId;
  /** How long the caller is ready to wait for it to run, in `ms`. */
  readonly waitMs: number;
  /** What kind of call needs it: `request` is one to a port or the guest, `api` one of `/v1`. Decides whether a paused one is woken. */
  readonly by: 'request' | 'api';
}
export interface ResolveAnswer {
  readonly route: Route;
}

/** What came through the door to one sandbox. Times are Unix `ms`. */
export interface SandboxTraffic {
  readonly sandboxId: SandboxId;
  readonly bootId: BootId;
  /** Requests that were begun since the last report, and the last of them. */
  readonly requests: number;
  readonly lastRequestAtMs?: number;
  /** Requests under way now, those on upgraded connections included. An idle kept connection is none. */
  readonly openRequests: number;
  /** Commands and terminals of the guest's process service to which a client is attached now. */
  readonly attached: number;
  /** Bytes last moved on any stream. */
  readonly lastBytesAtMs?: number;
}
export interface ActivityReport {
  readonly items: readonly SandboxTraffic[];
}

export interface DrainAnswer {
  readonly sandboxId: SandboxId;
  readonly bootId: BootId;
  readonly result: 'drained' | 'busy';
}
