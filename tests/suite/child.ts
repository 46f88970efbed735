import { spawn } from 'node:child_process';
import type { Suite } from './stage.ts';

export interface ChildEnd {
  readonly code: number;
  readonly stdout: string;
}

export interface ChildOptions {
  /** Keep stdout instead of showing it. */
  readonly capture?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/**
 * Runs a program of the suite with the suite's variables, shows what it prints, and resolves with its exit code. At the deadline and at Ctrl-C
 * the program and all that it started in its process group are killed.
 */
export function runChild(
  suite: Suite,
  program: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<ChildEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? suite.repository,
      env: { ...process.env, ...Object.fromEntries(suite.env), ...options.env },
      stdio: ['ignore', options.capture === true ? 'pipe' : 'inherit', 'inherit'],
      detached: true,
    });
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    const kill = (signal: NodeJS.Signals): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, signal);
      } catch {
        // The group has ended by itself.
      }
    };
    const onAbort = (): void => kill('SIGTERM');
    suite.signal.addEventListener('abort', onAbort);
    const deadline = setTimeout(() => {
      process.stderr.write(`\n${program} ${args.slice(0, 3).join(' ')}: killed after ${options.timeoutMs} ms\n`);
      kill('SIGKILL');
    }, options.timeoutMs ?? 600_000);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(deadline);
      suite.signal.removeEventListener('abort', onAbort);
      kill('SIGKILL');
      resolve({ code: code ?? 137, stdout: Buffer.concat(chunks).toString() });
    });
  });
}
