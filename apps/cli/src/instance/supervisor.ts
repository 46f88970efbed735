import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ProblemCode, SkerryError } from '@skerry/sdk';
import { checkout } from './paths.ts';

/** What the supervisor says on its standard output; see apps/supervisor/src/report.ts. */
export type SupervisorEvent =
  | { readonly event: 'starting'; readonly program: string }
  | {
      readonly event: 'ready';
      readonly url: string;
      readonly instance: string;
      readonly pid: number;
      readonly dataDir: string;
      readonly tookMs: number;
    }
  | { readonly event: 'already_running'; readonly dataDir: string }
  | { readonly event: 'died'; readonly program: string; readonly how: string; readonly againInMs: number }
  | { readonly event: 'serves'; readonly program: string; readonly pid: number }
  | { readonly event: 'resting' }
  | {
      readonly event: 'rested';
      readonly rested: readonly string[];
      readonly paused?: readonly string[];
      readonly deleted: readonly string[];
      readonly failed: readonly { readonly name: string; readonly message: string }[];
    }
  | ({ readonly event: 'recovered' } & Recovered)
  | {
      readonly event: 'failed';
      readonly code: ProblemCode;
      readonly reason: string;
      readonly message: string;
      readonly hint?: string;
    }
  | { readonly event: 'down'; readonly hard: boolean };

/** What `recover` brought back. */
export interface Recovered {
  readonly sandboxes: readonly { readonly id: string; readonly name: string; readonly status: string }[];
  readonly snapshots: readonly { readonly id: string; readonly name?: string }[];
  readonly lost: readonly { readonly kind: string; readonly id: string; readonly why: string }[];
  /** What no manifest holds, in words. */
  readonly gone: readonly string[];
  /** Where the database is that was there before. */
  readonly aside?: string;
}

/** A supervisor that this program started. */
export class SupervisorChild {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  constructor(child: ChildProcess, onEvent: (event: SupervisorEvent) => void) {
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve(1));
      child.once('close', (status) => resolve(status));
    });
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on('line', (line) => {
        try {
          onEvent(JSON.parse(line) as SupervisorEvent);
        } catch {
          // Not an event: the interpreter's own words are in the log.
        }
      });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Exit status of the supervisor. */
  get ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Asks it to bring the instance down; asked again, to end it hard. */
  end(): void {
    this.#child.kill('SIGTERM');
  }

  /** Leaves it running when this program ends. */
  letGo(): void {
    this.#child.stdout?.destroy();
    this.#child.unref();
  }
}

/** Starts the supervisor of a data directory in a session of its own. */
export async function startSupervisor(
  dataDir: string,
  args: readonly string[],
  onEvent: (event: SupervisorEvent) => void,
): Promise<SupervisorChild> {
  await mkdir(join(dataDir, 'log'), { recursive: true, mode: 0o700 });
  const log = openSync(join(dataDir, 'log', 'supervisor.log'), 'a', 0o600);
  try {
    const script = join(checkout, 'apps/supervisor/src/main.ts');
    const child = spawn(
      process.execPath,
      [script, '--data', dataDir, '--artifacts', join(dataDir, 'artifacts.json'), ...args],
      {
        stdio: ['ignore', 'pipe', log],
        detached: true,
        cwd: '/',
      },
    );
    return new SupervisorChild(child, onEvent);
  } finally {
    closeSync(log);
  }
}

export function failureOf(event: Extract<SupervisorEvent, { event: 'failed' }>): SkerryError {
  return new SkerryError({
    code: event.code,
    reason: event.reason,
    message: event.message,
    status: 0,
    ...(event.hint === undefined ? {} : { hint: event.hint }),
  });
}
