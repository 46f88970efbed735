import { spawn } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import type { BootId } from '@skerry/model';

export interface Runsc {
  readonly path: string;
  /** runsc's `--root`. */
  readonly stateDir: string;
}

/** Flags that are the same on every call: a memory image may only be restored under those that it was taken with. */
export const sandboxFlags = [
  '--platform=systrap',
  '--overlay2=none',
  '--network=sandbox',
  '--allow-live-tcp-migration=false',
  '--host-settings=ignore',
  '--allow-suid',
];

export interface RunCall {
  readonly bootId: BootId;
  /** Directory with config.json. */
  readonly bundle: string;
  /** Where stdout and stderr of the guest are appended. */
  readonly logPath: string;
  /** Where runsc itself writes, afresh for each boot. */
  readonly runscLog: string;
  /** Where the sentry's Go runtime writes when it dies. */
  readonly panicLog: string;
  /** Directory with the memory image that the sandbox begins from; absent: with its PID 1. */
  readonly image?: string;
  readonly signal: AbortSignal;
}

/**
 * Creates and starts a sandbox with one process, which ends when PID 1 has been started, or all that was saved goes on. Throws with runsc's own
 * words, or the reason of the signal.
 */
export async function runSandbox(runsc: Runsc, call: RunCall): Promise<void> {
  const log = await open(call.logPath, 'a', 0o600);
  const verb = call.image === undefined ? ['run'] : ['restore', '--image-path', call.image];
  const flags = [`--log=${call.runscLog}`, '--log-format=json', `--panic-log=${call.panicLog}`];
  try {
    await runToEnd(runsc, [...flags, ...verb, '--detach', '--bundle', call.bundle, call.bootId], {
      output: log.fd,
      runscLog: call.runscLog,
      signal: call.signal,
    });
  } finally {
    await log.close();
  }
}

export interface SaveCall {
  readonly bootId: BootId;
  /** Empty directory for the image. */
  readonly image: string;
  /** Where runsc itself writes, afresh for each call. */
  readonly runscLog: string;
  readonly signal: AbortSignal;
}

/**
 * Has a sandbox write its memory. The sandbox does the work: a process of ours that is killed ends the waiting, not the saving. Never without
 * `--leave-running`: a save that fails would end the sandbox. Throws with runsc's own words, or the reason of the signal.
 */
export async function saveSandbox(runsc: Runsc, call: SaveCall): Promise<void> {
  await rm(call.runscLog, { force: true });
  const flags = [`--log=${call.runscLog}`, '--log-format=json'];
  const verb = ['checkpoint', '--leave-running', '--image-path', call.image];
  await runToEnd(runsc, [...flags, ...verb, call.bootId], {
    output: 'ignore',
    runscLog: call.runscLog,
    signal: call.signal,
  });
}

/** Runs runsc until it ends. It dies with this process (`--pdeathsig`), so that nothing goes on unseen after a kill -9. */
async function runToEnd(
  runsc: Runsc,
  args: readonly string[],
  { output, runscLog, signal }: { output: number | 'ignore'; runscLog: string; signal: AbortSignal },
): Promise<void> {
  const all = ['--pdeathsig', 'KILL', '--', runsc.path, '--root', runsc.stateDir, ...sandboxFlags, ...args];
  const ending = await new Promise<string>((resolve, reject) => {
    const child = spawn('setpriv', all, { stdio: ['ignore', output, output], env: { PATH: process.env['PATH'] } });
    const abort = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    child.once('error', reject);
    child.once('exit', (status, killer) => {
      signal.removeEventListener('abort', abort);
      resolve(String(status ?? killer));
    });
  });
  signal.throwIfAborted();
  if (ending === '0') return;
  const words = await readFile(runscLog, 'utf8').catch(() => '');
  throw new Error(`runsc ended with ${ending}: ${errorsOf(words)}`);
}

/** The errors in a log of runsc, each without the stack below it; the end of the log when there is none. */
function errorsOf(log: string): string {
  const errors = log.split('\n').flatMap((line) => {
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      return level === 'error' && msg !== undefined ? [msg.slice(0, 500)] : [];
    } catch {
      return [];
    }
  });
  return errors.length > 0 ? errors.join(' · ') : log.trim().slice(-2000);
}
