export type {
  Activity,
  CreateHoldBody,
  CreateKeyBody,
  CreateSandboxBody,
  CreateSnapshotBody,
  Diff,
  ForkSandboxBody,
  Hold,
  Key,
  RollbackSandboxBody,
  Sandbox as SandboxView,
  SkerryEvent,
  Snapshot,
  System,
  Template,
  UpdateSandboxBody,
} from '@skerry/protocol';
export {
  type EntryInfo,
  type ProblemCode,
  type ProcessInfo,
  problemClasses,
  type TerminalSize,
} from '@skerry/protocol/client';
export { Files, type WatchEvent } from './files/files.ts';
export type { GuestCall } from './guest-client.ts';
export type { ProcessExit } from './process/exit.ts';
export type { OnPause, PauseNotice } from './process/over-pause.ts';
export { Processes, type RunResult, type StartOptions } from './process/processes.ts';
export { type FollowOptions, type ProcessOutput, RunningProcess } from './process/running-process.ts';
export { Sandbox } from './sandbox.ts';
export type { ListOptions, WaitOptions } from './sandboxes.ts';
export { Skerry } from './skerry.ts';
export { SkerryError, type SkerryErrorFields } from './skerry-error.ts';
export { type ListSnapshotsOptions, Snapshots } from './snapshots.ts';
export type { Connection } from './transport.ts';
