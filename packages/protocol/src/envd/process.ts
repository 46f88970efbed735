/** Messages of the guest's process service as JSON (proto3 JSON mapping: bytes are base64, 64-bit integers strings). */

/** Port of the guest's public protocol in every sandbox. */
export const guestPort = 49983;
/** Port of the guest's control protocol; never routed. */
export const guestControlPort = 49982;

/** Paths of the process service. */
export const processPaths = {
  list: '/process.Process/List',
  start: '/process.Process/Start',
  connect: '/process.Process/Connect',
  update: '/process.Process/Update',
  sendInput: '/process.Process/SendInput',
  sendSignal: '/process.Process/SendSignal',
  closeStdin: '/process.Process/CloseStdin',
  streamInput: '/process.Process/StreamInput',
} as const;

export interface ProcessConfig {
  readonly cmd: string;
  readonly args?: readonly string[];
  readonly envs?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}
export interface ProcessInfo {
  readonly config: ProcessConfig;
  readonly pid: number;
  readonly tag?: string;
}
export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}
export interface StartRequest {
  readonly process: ProcessConfig;
  readonly pty?: { readonly size: TerminalSize };
  readonly tag?: string;
  /** Whether standard input stays open; `true` when absent. */
  readonly stdin?: boolean;
}
export interface ProcessSelector {
  readonly pid?: number;
  readonly tag?: string;
}
/** One event of a process stream: exactly one field is there. */
export interface ProcessEvent {
  /** `droppedBytes` is our extension: output lost from the bounded buffer before this client came. */
  readonly start?: { readonly pid: number; readonly droppedBytes?: string };
  readonly data?: { readonly stdout?: string; readonly stderr?: string; readonly pty?: string };
  readonly end?: {
    readonly exitCode?: number;
    readonly exited?: boolean;
    readonly status?: string;
    readonly error?: string;
  };
  readonly keepalive?: Record<string, never>;
}
export interface ProcessStreamMessage {
  readonly event: ProcessEvent;
}
/** The message of a stream's last frame. */
export interface EndStreamMessage {
  readonly error?: { readonly code: string; readonly message?: string };
}
