/** The server as a process of its own on a simulated host, so that a test can kill it between any two steps. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SimulatedBackend } from '@skerry/backend/simulated';
import { faultVariable } from '@skerry/kit';
import type { Sandbox } from '@skerry/protocol';
import type { FaultPoint } from '../fault-points.ts';
import { hashKey } from '../secrets.ts';
import { type Answer, call } from './instance.ts';
import { simulatedHost } from './simulated-host.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const deadlineMs = 30_000;

/** Waits until `look` gives something other than `undefined`. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(Date.now() < end, `it never came: ${what}`);
    await sleep(10);
  }
}

export class ServerProcess implements AsyncDisposable {
  readonly backend: SimulatedBackend = new SimulatedBackend();
  readonly #directory: string;
  readonly #host: Server;
  readonly #key = `skerry_${randomBytes(20).toString('hex')}`;
  #child: ChildProcess | undefined;
  #ended = false;
  /** How often the server was killed by a point. */
  deaths = 0;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#host = simulatedHost(this.backend);
  }

  static async start(): Promise<ServerProcess> {
    const server = new ServerProcess(await mkdtemp(join(tmpdir(), 'skerry-faults-')));
    server.#host.listen(server.#path('host.sock'));
    await once(server.#host, 'listening');
    await writeFile(
      server.#path('config.json'),
      JSON.stringify({
        version: 1,
        instance: 'faults',
        databaseFile: server.#path('skerry.db'),
        hostSocket: server.#path('host.sock'),
        apiSocket: server.#path('api.sock'),
        gatewaySocket: server.#path('gateway.sock'),
        adminSocket: server.#path('admin.sock'),
        masterKey: randomBytes(32).toString('hex'),
        firstKey: { hash: hashKey(server.#key), hint: server.#key.slice(0, 12) },
        logLevel: 'error',
      }),
    );
    server.#spawn();
    return server;
  }

  get settings(): { readonly apiSocket: string; readonly gatewaySocket: string } {
    return { apiSocket: this.#path('api.sock'), gatewaySocket: this.#path('gateway.sock') };
  }

  /** What a call of its own has to carry. */
  get authorization(): string {
    return `Bearer ${this.#key}`;
  }

  /** Lets the server be killed at its next arrival at a point. */
  async arm(point: FaultPoint): Promise<void> {
    await writeFile(this.#path('fault'), point);
  }

  /** Calls the API as a client that repeats, with the same key, what was cut off. */
  async api(method: string, path: string, body?: unknown): Promise<Answer> {
    const key = randomBytes(8).toString('hex');
    return eventually(`an answer to ${method} ${path}`, async () => {
      try {
        return await call(this.#path('api.sock'), method, path, {
          ...(body === undefined ? {} : { body }),
          headers: { authorization: `Bearer ${this.#key}`, 'idempotency-key': key },
        });
      } catch {
        return undefined;
      }
    });
  }

  /** Waits until a sandbox has a status. */
  async until(sandbox: string, status: string): Promise<Sandbox> {
    return eventually(`${sandbox} is ${status}`, async () => {
      const { body } = await this.api('GET', `/v1/sandboxes/${sandbox}`);
      return body['status'] === status ? (body as unknown as Sandbox) : undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    this.#host.closeAllConnections();
    this.#host.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  /** Starts the server, and again whenever it was killed. */
  #spawn(): void {
    const child = spawn(process.execPath, [main, '--config', this.#path('config.json')], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, [faultVariable]: this.#path('fault') },
    });
    child.once('exit', (_code, signal) => {
      if (this.#ended) return;
      assert.equal(signal, 'SIGKILL', 'the server ended by itself');
      this.deaths++;
      this.#spawn();
    });
    this.#child = child;
  }
}
