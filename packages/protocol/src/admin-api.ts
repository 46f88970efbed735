/** The server's API for the supervisor alone: JSON over HTTP on a Unix socket that only root and the server can reach. */
export const adminPaths = {
  /** Rests everything before Skerry goes down, keeping the intent: `RestRequest` → `RestAnswer`. Repeating it is fine. */
  rest: 'POST /v1/rest',
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

export interface AdminStatus {
  readonly backend: 'ready' | 'unavailable';
  readonly sandboxes: Readonly<Record<string, number>>;
}
