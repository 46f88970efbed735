/** The server's API for the supervisor alone: JSON over HTTP on a Unix socket that only root and the server can reach. */
export const adminPaths = {
  /** Rests everything before Skerry goes down, keeping the intent: `RestRequest` → `RestAnswer`. Repeating it is fine. */
  rest: 'POST /v1/rest',
  /**
   * Makes the rows of a new, empty database from the manifests that the host keeps: `{}` → `RecoverAnswer`. From then on nothing is started, as after
   * `rest`. Only for `skerry recover`, which ends the server afterwards. Refused as `precondition_failed` when the database knows a sandbox.
   */
  recover: 'POST /v1/recover',
  /** Whether the server has reached its backend: `AdminStatus`. */
  status: 'GET /v1/status',
} as const;

export interface RestRequest {
  /** How long all of it may take, in `ms`. */
  readonly deadlineMs: number;
}

export interface RestAnswer {
  /** Names of the persistent sandboxes that were stopped, and will run again at the next start. */
  readonly rested: readonly string[];
  /** Names of the persistent sandboxes that were paused with their memory, and will go on at the next start. */
  readonly paused?: readonly string[];
  /** Names of the ephemeral sandboxes that were deleted. */
  readonly deleted: readonly string[];
  /** What did not come to rest, and why. */
  readonly failed: readonly { readonly name: string; readonly message: string }[];
}

export interface RecoverAnswer {
  /** Sandboxes that are there again. */
  readonly sandboxes: readonly {
    readonly id: string;
    readonly name: string;
    /** What it should be from now on, such as `paused` or `stopped`. */
    readonly status: string;
  }[];
  /** Snapshots made by users that are there again. */
  readonly snapshots: readonly { readonly id: string; readonly name?: string }[];
  /** What is on disk and could not be brought back, and why. Nothing of it was deleted. */
  readonly lost: readonly { readonly kind: 'disk' | 'snapshot'; readonly id: string; readonly why: string }[];
  /** What no manifest holds, in words, such as API keys but the first one, events and holds. */
  readonly gone: readonly string[];
}

export interface AdminStatus {
  readonly backend: 'ready' | 'unavailable';
  readonly sandboxes: Readonly<Record<string, number>>;
}
