import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
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
  readonly signal: AbortSignal;
}

/**
 * Creates and starts a sandbox with one process, which ends when PID 1 has been started. It dies with this process (`--pdeathsig`), so that
 * no start goes on unseen after a kill -9. Throws with runsc's own words, or the reason of the signal.
 */
export async function runSandbox(runsc: Runsc, call: RunCall): Promise<void> {
  const log = await open(call.logPath, 'a', 0o600);
  try {
    const args = [
      ...['--pdeathsig', 'KILL', '--', runsc.path, '--root', runsc.stateDir, ...sandboxFlags],
      ...[`--log=${call.runscLog}`, '--log-format=json', `--panic-log=${call.panicLog}`],
      ...['run', '--detach', '--bundle', call.bundle, call.bootId],
    ];
    const ending = await new Promise<string>((resolve, reject) => {
      const child = spawn('setpriv', args, { stdio: ['ignore', log.fd, log.fd], env: { PATH: process.env['PATH'] } });
      const abort = (): void => void child.kill('SIGKILL');
      call.signal.addEventListener('abort', abort, { once: true });
      if (call.signal.aborted) abort();
      child.once('error', reject);
      child.once('exit', (status, signal) => {
        call.signal.removeEventListener('abort', abort);
        resolve(String(status ?? signal));
      });
    });
    call.signal.throwIfAborted();
    if (ending === '0') return;
    const words = await readFile(call.runscLog, 'utf8').catch(() => '');
    throw new Error(`runsc run ended with ${ending}: ${words.trim().slice(-2000)}`);
  } finally {
    await log.close();
  }
}
