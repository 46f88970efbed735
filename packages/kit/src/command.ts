import { spawn } from 'node:child_process';

export interface CommandOptions {
  /** Kills the command with SIGKILL after this many `ms`. */
  readonly deadlineMs?: number;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

export interface CommandResult {
  /** Exit status; `null` when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

const defaultDeadlineMs = 60_000;

/** Runs a program (never a shell) and gives back how it ended, whatever that is. Throws when it cannot be started. */
export function tryCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const output: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
    child.stdout?.on('data', (chunk: Buffer) => output.stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => output.stderr.push(chunk));
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.deadlineMs ?? defaultDeadlineMs);
    const abort = (): void => void child.kill('SIGKILL');
    options.signal?.addEventListener('abort', abort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    };
    child.once('error', (error) => {
      settle();
      reject(error);
    });
    child.once('close', (status, signal) => {
      settle();
      if (options.signal?.aborted === true) reject(options.signal.reason);
      else
        resolve({
          status,
          signal,
          stdout: Buffer.concat(output.stdout).toString(),
          stderr: Buffer.concat(output.stderr).toString(),
          timedOut,
        });
    });
    if (options.input !== undefined) {
      // A child that ends before it has read its input is judged by its status.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(options.input);
    }
  });
}

/** Runs a program and gives back its standard output. Throws with the command, its status and its last words when that is not 0. */
export async function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryCommand(file, args, options);
  if (result.status === 0) return result.stdout;
  const ending = result.timedOut ? 'exceeded its deadline' : `ended with ${result.status ?? result.signal}`;
  const words = result.stderr.trim().slice(-2000) || result.stdout.trim().slice(-2000);
  throw new Error(`"${[file, ...args].join(' ')}" ${ending}${words === '' ? '' : `: ${words}`}`);
}
