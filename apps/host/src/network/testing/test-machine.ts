import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';
import { type BootId, Problem, type ProblemCode } from '@skerry/model';
import type { NetworkConfig } from '@skerry/protocol';
import type { NetworkLease } from '../network.ts';

const probeFile = join(import.meta.dirname, 'probe.ts');
const programFile = join(import.meta.dirname, 'network-program.ts');

/** Where on the machine of a test something runs: on the machine itself, or in one of its network namespaces. */
export type Place = { readonly machine: true } | { readonly namespace: string };

/** What a probe said: an answer, or the error that it met. */
export interface Outcome {
  readonly answer?: string | number;
  readonly error?: string;
}

/** A process that serves, with the lines that it printed. */
export interface Server {
  readonly lines: readonly string[];
}

/**
 * A whole machine of its own inside this one: network and mount namespaces that a sleeping process holds. What the tests do to addresses,
 * rules and settings stays in there, and goes with that process however the tests end.
 */
export class TestMachine implements AsyncDisposable {
  readonly #holder: ChildProcess;
  readonly #children = new Set<ChildProcess>();

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async boot(): Promise<TestMachine> {
    const script =
      'mount -t sysfs sysfs /sys 2>/dev/null || mount --rbind /sys /sys; mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns ' +
      '&& mount --make-shared /run/netns && ip link set lo up && echo ready && exec sleep 600';
    const holder = spawn('unshare', ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('exit', (status) => reject(new Error(`The machine of the test ended with ${status}`)));
    });
    return new TestMachine(holder);
  }

  /** Command line that enters the machine, and there a namespace. */
  #enter(place: Place): string[] {
    const machine = ['nsenter', '--target', String(this.#holder.pid), '--mount', '--net', '--'];
    return 'namespace' in place ? [...machine, 'ip', 'netns', 'exec', place.namespace] : machine;
  }

  async run(place: Place, ...command: string[]): Promise<string> {
    const [file = '', ...args] = [...this.#enter(place), ...command];
    return runCommand(file, args, { deadlineMs: 60_000 });
  }

  /** Runs shell lines; the first that fails ends them. */
  shell(place: Place, lines: string): Promise<string> {
    return this.run(place, 'sh', '-ec', lines);
  }

  start(place: Place, ...command: string[]): ChildProcess {
    const [file = '', ...args] = [...this.#enter(place), ...command];
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Serves TCP and UDP on these ports until the machine is gone. */
  async serve(place: Place, ...ports: number[]): Promise<Server> {
    const child = this.start(place, process.execPath, probeFile, 'serve', ...ports.map(String));
    const lines: string[] = [];
    await new Promise<void>((resolve) => {
      createInterface({ input: child.stdout ?? process.stdin }).on('line', (line) => {
        lines.push(line);
        if (lines.length === ports.length) resolve();
      });
    });
    return { lines };
  }

  /** Runs a probe, as another user when `uid` is given. */
  async probe(place: Place, words: readonly (string | number)[], uid?: number): Promise<Outcome> {
    const user = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, '--clear-groups'];
    const text = await this.run(place, ...user, process.execPath, probeFile, ...words.map(String));
    return JSON.parse(text) as Outcome;
  }

  startNetwork(instance: string, config: NetworkConfig, poolSize = 2): NetworkProgram {
    const options = JSON.stringify({ instance, config, poolSize });
    return new NetworkProgram(this.start({ machine: true }, process.execPath, programFile, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    const gone = new Promise((resolve) => this.#holder.once('exit', resolve));
    this.#holder.removeAllListeners('exit');
    const ended = new Promise((resolve) => this.#holder.once('exit', resolve));
    this.#holder.kill('SIGKILL');
    await Promise.race([gone, ended]);
  }
}

/** A `Network` in another process. */
export class NetworkProgram {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  #next = 1;

  constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout ?? process.stdin }).on('line', (line) => {
      const { id, result, problem } = JSON.parse(line) as {
        id: number;
        result?: unknown;
        problem?: {
          code: ProblemCode;
          message: string;
          reason: string;
          hint?: string;
          context: Record<string, unknown>;
        };
      };
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (problem === undefined) waiting?.resolve(result);
      else waiting?.reject(new Problem(problem.code, `${problem.message} ${JSON.stringify(problem.context)}`, problem));
    });
  }

  call(call: 'lease', bootId: BootId): Promise<NetworkLease>;
  call(call: 'traffic', bootId: BootId): Promise<{ inBytes: number; outBytes: number }>;
  call(call: 'garbage'): Promise<{ kind: string; name: string; ageMs: number }[]>;
  call(call: 'start' | 'teardown'): Promise<void>;
  call(call: 'release' | 'adopt' | 'removeGarbage', ...args: unknown[]): Promise<void>;
  call(call: string, ...args: unknown[]): Promise<unknown> {
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, call, args })}\n`);
    });
  }

  /** Ends the process as a crash does. */
  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    assert.ok(this.#child.kill('SIGKILL'));
    await ended;
  }
}
