import { mkdir, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { type Log, tryCommand, writeFileAtomic } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { RecoverAnswer, RestAnswer } from '@skerry/protocol';
import { serveControl } from './control/control-server.ts';
import { recoverDatabase } from './control/recover.ts';
import { restSandboxes } from './control/rest.ts';
import { type Layout, type ProgramName, programNames } from './instance/layout.ts';
import { commandLine, programEnvironment, teardownCommandLine } from './programs/command-line.ts';
import { lastWordsOf } from './programs/program-log.ts';
import { Program } from './programs/program.ts';
import { endStalePrograms, findStalePrograms } from './programs/stale-programs.ts';
import type { Report } from './report.ts';

export interface SupervisorOptions {
  readonly layout: Layout;
  readonly instance: string;
  readonly url: string;
  readonly checkout: string;
  readonly node: string;
  readonly log: Log;
  readonly report: Report;
}

export interface DownAnswer {
  readonly rested: RestAnswer | undefined;
  readonly problem: string | undefined;
  readonly hard: boolean;
}

const restDeadlineMs = 90_000;
const programGraceMs = 8_000;
const readyWithinMs: Record<ProgramName, number> = { host: 300_000, server: 60_000, egress: 30_000, gateway: 30_000 };

/** The programs of one instance, from start to rest. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #programs: Readonly<Record<ProgramName, Program>>;
  readonly #startedAtMs: number = Date.now();
  readonly #hard: AbortController = new AbortController();
  readonly #toTell: ((answer: Promise<DownAnswer>) => void)[] = [];
  #control: Server | undefined;
  #down: Promise<DownAnswer> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { layout, checkout, node, log, report } = options;
    const make = (name: ProgramName): Program =>
      new Program({
        name,
        command: commandLine(name, layout, checkout, node),
        env: programEnvironment(process.env),
        logFile: join(layout.logDir, `${name}.log`),
        readyWithinMs: readyWithinMs[name],
        log,
        onChange: (change) =>
          change.state === 'died'
            ? report({ event: 'died', program: name, how: change.how, againInMs: change.againInMs })
            : report({ event: 'serves', program: name, pid: change.pid }),
      });
    this.#programs = { host: make('host'), server: make('server'), egress: make('egress'), gateway: make('gateway') };
  }

  /** Starts all four, and says where Skerry answers. Throws why one does not start. */
  async up(): Promise<void> {
    const { layout, url, instance, report, log } = this.#options;
    await this.endStale();
    await this.#start('host', 'server');
    await this.#start('egress', 'gateway');
    this.#control = await serveControl(
      layout.controlSocket,
      { status: () => this.#status(), down: (hard) => this.down(hard) },
      log,
    );
    await answers(url);
    await writeFileAtomic(layout.endpointFile, `${JSON.stringify({ url, pid: process.pid })}\n`, 0o600);
    report({
      event: 'ready',
      url,
      instance,
      pid: process.pid,
      dataDir: layout.dataDir,
      tookMs: Date.now() - this.#startedAtMs,
    });
    log.info('Skerry answers', { url });
  }

  /** Starts what is needed to bring the sandboxes to rest, when an earlier supervisor was killed and nobody serves any more. */
  async upForRest(): Promise<void> {
    await this.endStale();
    await this.#start('host', 'server');
  }

  /** Has the server make its database anew. Only after `upForRest`; `down` comes next. */
  async recover(): Promise<RecoverAnswer> {
    return recoverDatabase(this.#options.layout.adminSocket);
  }

  async endStale(): Promise<void> {
    const stale = await findStalePrograms(this.#options.layout);
    if (stale.length === 0) return;
    this.#options.log.warn('An earlier supervisor left programs running; they are replaced', { programs: stale });
    await endStalePrograms(stale);
  }

  /** Rests the sandboxes, ends the programs and removes the instance from the machine. Asked again with `hard`, it stops waiting. */
  async down(hard = false): Promise<DownAnswer> {
    if (hard) this.#hard.abort(new Problem('cancelled', 'Asked to end at once', { reason: 'hard_stop' }));
    if (this.#down === undefined) {
      this.#down = this.#bringDown();
      for (const told of this.#toTell) told(this.#down);
    }
    return this.#down;
  }

  /** Calls back when it is brought down, whoever asked. */
  onDown(told: (answer: Promise<DownAnswer>) => void): void {
    this.#toTell.push(told);
  }

  /** Ends the programs and leaves everything else as it is. */
  async abandon(): Promise<void> {
    await Promise.all(programNames.map((name) => this.#programs[name].stop(programGraceMs)));
    await this.#closeControl();
  }

  async #bringDown(): Promise<DownAnswer> {
    const { layout, report, log } = this.#options;
    await rm(layout.endpointFile, { force: true });
    let rested: RestAnswer | undefined;
    let problem: string | undefined;
    report({ event: 'resting' });
    try {
      this.#hard.signal.throwIfAborted();
      rested = await restSandboxes(layout.adminSocket, restDeadlineMs, this.#hard.signal, log);
      report({ event: 'rested', ...rested });
      for (const { name, message } of rested.failed) log.error('A sandbox did not come to rest', { name, message });
    } catch (error) {
      const found = Problem.from(error);
      problem = found.message;
      log.error('The sandboxes did not come to rest; they are ended', { problem: found.message });
    }
    const graceMs = this.#hard.signal.aborted ? 0 : programGraceMs;
    for (const name of ['gateway', 'server', 'egress', 'host'] as const) await this.#programs[name].stop(graceMs);
    await this.teardown();
    await rm(layout.runDir, { recursive: true, force: true });
    log.info('Skerry is down');
    return { rested, problem, hard: this.#hard.signal.aborted };
  }

  /** Removes everything of the instance from the machine, but its data. */
  async teardown(): Promise<void> {
    const { layout, checkout, node, log } = this.#options;
    const { file, args } = teardownCommandLine(layout, checkout, node);
    const result = await tryCommand(file, args, {
      deadlineMs: 120_000,
      env: programEnvironment(process.env),
      cwd: '/',
    });
    if (result.status === 0) return;
    log.error('The tear-down failed', { status: result.status ?? result.signal, stderr: result.stderr.slice(-4000) });
    throw new Problem(
      'internal',
      `Skerry could not be removed from this machine whole: ${lastWordsOf(result.stderr)?.message ?? 'no reason given'}`,
      {
        reason: 'teardown_failed',
        hint: `See ${layout.logDir}/supervisor.log; "skerry doctor" names what is left, and "skerry down" tries again.`,
      },
    );
  }

  async #start(...names: readonly ProgramName[]): Promise<void> {
    if (this.#down !== undefined)
      throw new Problem('cancelled', 'Skerry was asked to end while it started', { reason: 'start_cancelled' });
    for (const name of names) this.#options.report({ event: 'starting', program: name });
    const results = await Promise.allSettled(names.map((name) => this.#programs[name].start()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #status(): Promise<unknown> {
    const { url, instance, layout } = this.#options;
    return {
      url,
      instance,
      dataDir: layout.dataDir,
      pid: process.pid,
      upSinceMs: this.#startedAtMs,
      programs: programNames.map((name) => {
        const { state, pid, restarts } = this.#programs[name];
        return { name, state, pid, restarts };
      }),
    };
  }

  async #closeControl(): Promise<void> {
    this.#control?.closeAllConnections();
    this.#control?.close();
  }
}

/** Waits until the front door answers for the whole: a second at most, for it was ready. */
async function answers(url: string): Promise<void> {
  let last: unknown;
  for (let n = 0; n < 100; n++) {
    try {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) });
      await response.arrayBuffer();
      if (response.ok) return;
      last = new Error(`HTTP ${response.status}`);
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Problem('unavailable', `Skerry does not answer at ${url}`, {
    reason: 'not_answering',
    hint: 'See the logs in the data directory.',
    cause: last,
  });
}

/** Makes sure that a directory exists for the lock. */
export async function ensureParent(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
}
