import { parseSignal, type ProcessEvent } from '@skerry/protocol/client';

/** How a process ended. */
export interface ProcessExit {
  /** The process's own, 128 + n after signal n, 124 after a timeout. */
  readonly exitCode: number;
  /** Such as `SIGKILL`. */
  readonly signal?: string;
  readonly timedOut: boolean;
}

/** Reads the last event of a process. */
export function readExit(end: NonNullable<ProcessEvent['end']>): ProcessExit {
  const signal = parseSignal(end.error ?? end.status);
  if (signal === undefined) return { exitCode: end.exitCode ?? 0, timedOut: false };
  return { exitCode: 128 + signal.number, signal: signal.name, timedOut: false };
}

/** What is said of a process that ran out of time: the guest has ended its whole tree. */
export const timeoutExit: ProcessExit = { exitCode: 124, signal: 'SIGKILL', timedOut: true };
