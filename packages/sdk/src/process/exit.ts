import type { ProcessEvent } from '@skerry/protocol/client';

/** How a process ended. */
export interface ProcessExit {
  /** The process's own, 128 + n after signal n, 124 after a timeout. */
  readonly exitCode: number;
  /** Such as `SIGKILL`. */
  readonly signal?: string;
  readonly timedOut: boolean;
}

/** Signals by the words that Go, in which the guest is written, has for them; numbers are Linux's. */
const signals: Readonly<Record<string, readonly [name: string, number: number]>> = {
  hangup: ['SIGHUP', 1],
  interrupt: ['SIGINT', 2],
  quit: ['SIGQUIT', 3],
  'illegal instruction': ['SIGILL', 4],
  'trace/breakpoint trap': ['SIGTRAP', 5],
  aborted: ['SIGABRT', 6],
  'bus error': ['SIGBUS', 7],
  'floating point exception': ['SIGFPE', 8],
  killed: ['SIGKILL', 9],
  'user defined signal 1': ['SIGUSR1', 10],
  'segmentation fault': ['SIGSEGV', 11],
  'user defined signal 2': ['SIGUSR2', 12],
  'broken pipe': ['SIGPIPE', 13],
  'alarm clock': ['SIGALRM', 14],
  terminated: ['SIGTERM', 15],
};

/** Reads the last event of a process. */
export function readExit(end: NonNullable<ProcessEvent['end']>): ProcessExit {
  const words = /^signal: (.+?)(?: \(core dumped\))?$/.exec(end.error ?? end.status ?? '')?.[1];
  if (words === undefined) return { exitCode: end.exitCode ?? 0, timedOut: false };
  const known = signals[words];
  const number = known?.[1] ?? Number(/^signal (\d+)$/.exec(words)?.[1] ?? 0);
  return { exitCode: 128 + number, signal: known?.[0] ?? `SIG${number}`, timedOut: false };
}

/** What is said of a process that ran out of time: the guest has ended its whole tree. */
export const timeoutExit: ProcessExit = { exitCode: 124, signal: 'SIGKILL', timedOut: true };
