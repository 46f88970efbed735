/** One real Skerry for a test file: started by the launcher as a person would, in a data directory and on a port of its own. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type CommandResult, tryCommand } from '@skerry/kit';

const checkout = fileURLToPath(new URL('../../', import.meta.url));
const launcher = join(checkout, 'skerry');

/** The programs of one instance. */
export type Program = 'supervisor' | 'host' | 'server' | 'gateway' | 'egress';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export interface SandboxView {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly reason: string;
  readonly accessToken?: string;
  readonly lastExit?: { readonly reason: string; readonly detail: string };
  readonly resume?: { readonly from: 'memory' | 'disk'; readonly lost?: string; readonly why?: string };
}

export class Instance implements AsyncDisposable {
  readonly dataDir: string;
  readonly port: number;
  readonly url: string;
  #key = '';
  #id = '';
  #faultFile: string | undefined;
  #keepsData = false;

  private constructor(dataDir: string, port: number) {
    this.dataDir = dataDir;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts one and waits until it answers. With `faults`, `setFault` works; with `dataDir` it lives there, and that is left in the end. */
  static async start(options: { readonly faults?: boolean; readonly dataDir?: string } = {}): Promise<Instance> {
    const dataDir = options.dataDir ?? (await mkdtemp('/var/tmp/skerry-e2e-'));
    const instance = new Instance(dataDir, await freePort());
    instance.#keepsData = options.dataDir !== undefined;
    try {
      if (options.faults === true) {
        // The server, which is not root, must be able to remove the file.
        const faultDir = await mkdtemp('/var/tmp/skerry-fault-');
        await chmod(faultDir, 0o777);
        instance.#faultFile = join(faultDir, 'fault');
      }
      await instance.up();
    } catch (error) {
      await instance[Symbol.asyncDispose]();
      throw error;
    }
    return instance;
  }

  get id(): string {
    return this.#id;
  }

  get key(): string {
    return this.#key;
  }

  get runDir(): string {
    return `/run/skerry/${this.#id}`;
  }

  async up(): Promise<void> {
    const env = this.#faultFile === undefined ? {} : { SKERRY_FAULT_FILE: this.#faultFile };
    const result = await this.skerry(['up', '--detach', '--listen', `127.0.0.1:${this.port}`], {
      env,
      deadlineMs: 180_000,
    });
    assert.equal(result.status, 0, `up failed:\n${result.stdout}\n${result.stderr}\n${await this.logs()}`);
    this.#key = (await readFile(join(this.dataDir, 'api.key'), 'utf8')).trim();
    this.#id = (JSON.parse(await readFile(join(this.dataDir, 'instance.json'), 'utf8')) as { id: string }).id;
  }

  async down(): Promise<CommandResult> {
    return this.skerry(['down'], { deadlineMs: 120_000 });
  }

  /** Runs the command line as a person would. */
  async skerry(
    args: readonly string[],
    options: { env?: Readonly<Record<string, string>>; input?: string; deadlineMs?: number } = {},
  ): Promise<CommandResult> {
    return tryCommand(launcher, args, {
      deadlineMs: options.deadlineMs ?? 90_000,
      env: { ...process.env, ...options.env, SKERRY_DATA: this.dataDir },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  }

  /** Calls the API with the first key. */
  async api(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: (text.startsWith('{') ? JSON.parse(text) : { text }) as Record<string, unknown>,
    };
  }

  /** Creates a sandbox and gives back what the API says of it. */
  async create(options: Readonly<Record<string, unknown>> = {}): Promise<SandboxView> {
    const { status, body } = await this.api('POST', '/v1/sandboxes', { memoryMiB: 512, ...options });
    assert.equal(status, 201, JSON.stringify(body));
    return body as unknown as SandboxView;
  }

  async get(sandbox: string): Promise<SandboxView> {
    const { status, body } = await this.api('GET', `/v1/sandboxes/${sandbox}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body as unknown as SandboxView;
  }

  /** Runs a shell command inside, and gives back its output; fails when its exit code is not 0. */
  async sh(sandbox: string, command: string, options: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const result = await this.exec(sandbox, command, options);
    assert.equal(result.exitCode, 0, `"${command}" in ${sandbox}: ${JSON.stringify(result)}`);
    return result.stdout;
  }

  async exec(
    sandbox: string,
    command: string | readonly string[],
    options: Readonly<Record<string, unknown>> = {},
  ): Promise<{ exitCode: number; stdout: string; stderr: string; timedOut: boolean; pid: number; truncated: boolean }> {
    const { status, body } = await this.api('POST', `/v1/sandboxes/${sandbox}/exec`, { command, ...options });
    assert.equal(status, 200, `"${command}" in ${sandbox}: ${JSON.stringify(body)}`);
    return body as never;
  }

  async change(sandbox: string, verb: 'start' | 'stop' | 'pause' | 'resume'): Promise<SandboxView> {
    const { status, body } = await this.api('POST', `/v1/sandboxes/${sandbox}/${verb}`, {});
    assert.equal(status, 200, `${verb} ${sandbox}: ${JSON.stringify(body)}`);
    return body as unknown as SandboxView;
  }

  async remove(sandbox: string): Promise<void> {
    const { status, body } = await this.api('DELETE', `/v1/sandboxes/${sandbox}`);
    assert.ok(status === 200 || status === 404, `delete ${sandbox}: ${JSON.stringify(body)}`);
  }

  /** Waits until a sandbox has a status, or fails with what it has. */
  async until(sandbox: string, statuses: readonly string[], deadlineMs = 60_000): Promise<SandboxView> {
    const end = Date.now() + deadlineMs;
    let last = '';
    while (Date.now() < end) {
      const answer = await this.api('GET', `/v1/sandboxes/${sandbox}`).catch(
        (error: unknown): Answer => ({ status: 0, body: { error: String(error) } }),
      );
      last = JSON.stringify(answer.body);
      if (answer.status === 200 && statuses.includes(String(answer.body['status'])))
        return answer.body as unknown as SandboxView;
      await sleep(100);
    }
    assert.fail(`${sandbox} is not ${statuses.join(' or ')} after ${deadlineMs} ms: ${last}\n${await this.logs()}`);
  }

  /** Waits until the API answers, after a part of it was killed. */
  async untilReady(deadlineMs = 60_000): Promise<void> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      const answer = await this.api('GET', '/v1/system').catch(() => undefined);
      if (answer?.status === 200 && (answer.body['backend'] as { state?: string } | undefined)?.state === 'ready')
        return;
      if (Date.now() > end) assert.fail(`Skerry does not answer: ${JSON.stringify(answer)}\n${await this.logs()}`);
      await sleep(100);
    }
  }

  /** Makes the program that comes to a named point kill itself there, once; `undefined` takes that back. */
  async setFault(point: string | undefined): Promise<void> {
    assert.ok(this.#faultFile !== undefined, 'started without faults');
    if (point === undefined) await rm(this.#faultFile, { force: true });
    else await writeFile(this.#faultFile, point);
  }

  /** Whether the point that was set has not been come to yet. */
  faultArmed(): boolean {
    assert.ok(this.#faultFile !== undefined, 'started without faults');
    return existsSync(this.#faultFile);
  }

  /** Process ids of one of its programs. */
  async pids(program: Program): Promise<number[]> {
    const marks =
      program === 'supervisor'
        ? ['apps/supervisor/src/main.ts', this.dataDir]
        : [`apps/${program}/src/main.ts`, `${this.runDir}/config/${program}.json`];
    return processesWith(
      (commandLine) => marks.every((mark) => commandLine.includes(mark)) && !commandLine.startsWith('sh\0'),
    );
  }

  /** Process ids of the engine's processes of this instance. */
  async enginePids(kind: 'sandbox' | 'gofer'): Promise<number[]> {
    return processesWith((commandLine) => commandLine.startsWith(`runsc-${kind}`) && commandLine.includes(this.#id));
  }

  async kill(program: Program): Promise<void> {
    const pids = await this.pids(program);
    assert.notEqual(pids.length, 0, `no process of ${program}`);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
  }

  /** The last lines of each log, for the message of a failed test. */
  async logs(): Promise<string> {
    const directory = join(this.dataDir, 'log');
    const texts: string[] = [];
    for (const file of await readdir(directory).catch(() => []))
      texts.push(`--- ${file}\n${(await readFile(join(directory, file), 'utf8')).slice(-4000)}`);
    return texts.join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const result = await this.skerry(['down'], { deadlineMs: 120_000 });
    if (result.status !== 0) throw new Error(`down failed: ${result.stdout}\n${result.stderr}\n${await this.logs()}`);
    if (!this.#keepsData) await rm(this.dataDir, { recursive: true, force: true });
    if (this.#faultFile !== undefined) await rm(dirname(this.#faultFile), { recursive: true, force: true });
  }
}

async function processesWith(matches: (commandLine: string) => boolean): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (matches(commandLine)) found.push(Number(entry));
  }
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('The test got no port');
  return address.port;
}
