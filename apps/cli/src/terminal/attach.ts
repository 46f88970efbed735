import { constants } from 'node:os';
import { type ProcessExit, type RunningProcess, SkerryError } from '@skerry/sdk';
import { onReaderLeft, printJson, writeBytes } from '../output/print.ts';
import { pumpInput } from './input.ts';
import { PauseWatch } from './pause-watch.ts';
import { rawTerminal } from './raw-terminal.ts';

export interface AttachOptions {
  /** Passes standard input on. */
  readonly input: boolean;
  /** It has a terminal of its own. */
  readonly terminal: boolean;
  readonly json: boolean;
  /** Ends when the sandbox is paused; otherwise it goes on when that runs again. */
  readonly detachOnPause: boolean;
  /** Brings the sandbox back. */
  readonly resume: () => Promise<unknown>;
}

export const detachOnPauseHelp = 'end when the sandbox is paused; otherwise this goes on when it runs again';

const leftExit: ProcessExit = { exitCode: 130, signal: 'SIGINT', timedOut: false };
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Connects a process in a sandbox with this program's standard streams until it ends, over pauses of the sandbox. Signals go to the process; the
 * third SIGINT gives up waiting for it. While the sandbox is paused the first one does.
 */
export async function attach(running: RunningProcess, options: AttachOptions): Promise<ProcessExit> {
  await using cleanups = new AsyncDisposableStack();
  const raw = options.terminal && options.input && process.stdin.isTTY ? cleanups.use(rawTerminal()) : undefined;
  const { json } = options;
  const watch = new PauseWatch({ pid: running.pid, json, raw: raw !== undefined, resume: options.resume });
  let interrupts = 0;
  const forward = (signal: NodeJS.Signals): void => {
    if (watch.waiting) {
      watch.leave();
      return;
    }
    if (signal === 'SIGINT' && ++interrupts > 2) {
      raw?.[Symbol.dispose]();
      process.exit(130);
    }
    // After a second Ctrl-C the process is not asked any more.
    const number = signal === 'SIGINT' && interrupts > 1 ? constants.signals.SIGKILL : constants.signals[signal];
    running.signal(number).catch(() => undefined);
  };
  for (const signal of forwarded) process.on(signal, forward);
  cleanups.defer(() => {
    for (const signal of forwarded) process.off(signal, forward);
  });
  const leave = onReaderLeft(() => {
    // What the kernel would do to it here; one that does not heed that has nobody to write to all the same.
    running.signal(constants.signals.SIGPIPE).catch(() => undefined);
    setTimeout(() => void running.signal(constants.signals.SIGKILL).catch(() => undefined), 1000).unref();
  });
  cleanups.use(leave);
  if (options.terminal && process.stdout.isTTY) {
    const resize = (): void => void running.resize(terminalSize()).catch(() => undefined);
    process.stdout.on('resize', resize);
    cleanups.defer(() => void process.stdout.off('resize', resize));
  }
  if (options.input) {
    const pump = pumpInput(running, options.terminal, raw === undefined ? undefined : watch);
    cleanups.defer(() => pump.stop());
  }
  if (json) printJson({ type: 'start', pid: running.pid });
  const startedAtMs = Date.now();
  const exit = await running
    .wait(
      async ({ from, data }) => {
        if (json)
          printJson({ type: from === 'stderr' ? 'stderr' : 'stdout', data: Buffer.from(data).toString('base64') });
        else await writeBytes(from === 'stderr' ? process.stderr : process.stdout, data);
      },
      { onPause: options.detachOnPause ? 'throw' : watch.onPause, signal: watch.signal },
    )
    .catch((error: unknown) => {
      if (watch.signal.aborted && error instanceof SkerryError && error.code === 'cancelled') return leftExit;
      throw error;
    });
  if (json) printJson({ type: 'end', ...exit, durationMs: Date.now() - startedAtMs });
  return exit;
}

/** Size of this terminal; a usual one when there is none. */
export function terminalSize(): { cols: number; rows: number } {
  return { cols: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 };
}

/** What a program inside must know of this terminal to paint it right. */
export function terminalEnvironment(): Record<string, string> {
  const { TERM, COLORTERM } = process.env;
  return {
    TERM: TERM === undefined || TERM === '' || TERM === 'dumb' ? 'xterm-256color' : TERM,
    ...(COLORTERM === undefined ? {} : { COLORTERM }),
    // The one UTF-8 locale that every image has; this machine's own may not exist inside.
    LANG: 'C.UTF-8',
  };
}
