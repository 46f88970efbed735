import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff, type Log } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { CommandLine } from './command-line.ts';
import { lastWords, openLog } from './program-log.ts';

export interface ProgramOptions {
  readonly name: string;
  readonly command: CommandLine;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** How long it may take until it serves, in `ms`. */
  readonly readyWithinMs: number;
  readonly log: Log;
  /** Told of each end that nobody asked for, and of each time that it serves again. */
  readonly onChange: (change: ProgramChange) => void;
  readonly firstBackoffMs?: number;
}

export type ProgramChange =
  | { readonly state: 'died'; readonly how: string; readonly againInMs: number }
  | { readonly state: 'serves'; readonly pid: number };

export type ProgramState = 'starting' | 'ready' | 'waiting' | 'stopped';

const calmAfterMs = 30_000;

/** One program of an instance: started, watched, and started again with growing pauses when it ends without being asked to. */
export class Program {
  readonly name: string;
  readonly #options: ProgramOptions;
  readonly #backoff: Backoff;
  #child: ChildProcess | undefined;
  #state: ProgramState = 'stopped';
  #restarts = 0;
  #stopping = new AbortController();

  constructor(options: ProgramOptions) {
    this.name = options.name;
    this.#options = options;
    this.#backoff = new Backoff(options.firstBackoffMs ?? 200, 10_000);
  }

  get state(): ProgramState {
    return this.#state;
  }
  get pid(): number | undefined {
    return this.#child?.pid;
  }
  get restarts(): number {
    return this.#restarts;
  }

  /** Starts it and waits until it serves. Throws why it does not. From then on it is kept running. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    const ended = await this.#attempt();
    this.#watch(ended);
  }

  /** Ends it: SIGTERM, and SIGKILL after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    this.#state = 'stopped';
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const late = setTimeout(() => {
      this.#options.log.warn('A program did not end in time', { program: this.name, graceMs });
      child.kill('SIGKILL');
    }, graceMs);
    await gone;
    clearTimeout(late);
  }

  /** One start. Resolves when it serves, with a promise of how it ends. */
  async #attempt(): Promise<{ readonly end: Promise<string>; readonly sinceMs: number }> {
    const { name, command, env, logFile, readyWithinMs } = this.#options;
    this.#state = 'starting';
    const log = await openLog(logFile);
    let child: ChildProcess;
    try {
      // Sessions of their own: a Ctrl-C on the terminal is for the supervisor, which decides the order.
      child = spawn(command.file, command.args, { stdio: ['ignore', 'pipe', log], env, cwd: '/', detached: true });
    } finally {
      closeSync(log);
    }
    this.#child = child;
    const end = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      child.once('exit', (status, signal) =>
        resolve(signal === null ? `ended with status ${status}` : `was ended by ${signal}`),
      );
    });
    const ready = new Promise<'ready'>((resolve) => {
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (isReadyLine(line)) resolve('ready');
      });
    });
    const waited = new AbortController();
    const late = sleep(readyWithinMs, 'late' as const, { signal: waited.signal }).catch(() => 'late' as const);
    const first = await Promise.race([ready, end, late]);
    waited.abort();
    if (first === 'ready') {
      this.#state = 'ready';
      return { end, sinceMs: Date.now() };
    }
    child.kill('SIGKILL');
    await end;
    const words = await lastWords(logFile);
    throw new Problem(
      'unavailable',
      `The ${name} ${first === 'late' ? `did not answer within ${readyWithinMs / 1000} s` : first}${words === undefined ? '' : `: ${words.message}`}`,
      {
        reason: 'program_failed',
        hint: words?.hint ?? `See ${logFile}; "skerry doctor" says what this machine lacks.`,
      },
    );
  }

  #watch(life: { readonly end: Promise<string>; readonly sinceMs: number }): void {
    const stopped = this.#stopping.signal;
    void (async () => {
      let how = await life.end;
      if (Date.now() - life.sinceMs > calmAfterMs) this.#backoff.reset();
      while (!stopped.aborted) {
        const againInMs = Math.round(this.#backoff.next());
        this.#state = 'waiting';
        this.#options.log.error('A program ended by itself', { program: this.name, how, againInMs });
        this.#options.onChange({ state: 'died', how, againInMs });
        await sleep(againInMs, undefined, { signal: stopped }).catch(() => undefined);
        if (stopped.aborted) return;
        this.#restarts++;
        try {
          const next = await this.#attempt();
          this.#options.onChange({ state: 'serves', pid: this.#child?.pid ?? 0 });
          this.#options.log.info('A program serves again', { program: this.name, pid: this.#child?.pid });
          this.#watch(next);
          return;
        } catch (error) {
          how = error instanceof Error ? error.message : String(error);
        }
      }
    })();
  }
}

function isReadyLine(line: string): boolean {
  try {
    return (JSON.parse(line) as { ready?: unknown }).ready === true;
  } catch {
    return false;
  }
}
