import { spawn } from 'node:child_process';
import { SetupFailure } from './setup-failure.ts';

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to this process's environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  /** The last 64 KiB. */
  readonly stderr: string;
}

const KEPT_BYTES = 64 * 1024;

/** Runs a program without a shell and without stdin. Resolves with its exit code, whatever it is; rejects when it cannot be started. */
export function tryCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
    });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-KEPT_BYTES);
    });
    child.once('error', (cause) =>
      reject(new SetupFailure(`Cannot run "${program}": ${cause.message}.`, 'Install it, or put it on PATH.', cause)),
    );
    child.once('close', (code) => resolve({ code: code ?? 137, stdout: Buffer.concat(stdout).toString(), stderr }));
  });
}

/** As `tryCommand`, and throws a `SetupFailure` with the end of stderr when the exit code is not 0. Returns stdout. */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await tryCommand(program, args, options);
  if (result.code !== 0) {
    const tail = result.stderr.trim().split('\n').slice(-15).join('\n');
    throw new SetupFailure(
      `"${[program, ...args.slice(0, 3)].join(' ')}" ended with exit code ${result.code}:\n${tail}`,
      'Read the lines above, repair what they name, and run the same command again: finished stages are kept.',
    );
  }
  return result.stdout;
}
