/** A server on the simulated backend for one test file, called through its public face. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '@skerry/backend';
import { SimulatedBackend } from '@skerry/backend/simulated';
import { type BootId, newId } from '@skerry/model';
import type { Sandbox, Snapshot } from '@skerry/protocol';
import { openStore, type Store } from '@skerry/store';
import { pino } from 'pino';
import { tidySnapshots } from '../reconcilers/snapshots.ts';
import { hashKey } from '../secrets.ts';
import { type RunningServer, startServer } from '../server.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Record<string, unknown>;
}

/** Calls a server over its Unix socket. */
export async function call(
  socketPath: string,
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly raw?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const text = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        socketPath,
        method,
        path,
        agent: false,
        headers: {
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
          ...options.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const answer = Buffer.concat(chunks).toString();
          const body = answer.startsWith('{') ? (JSON.parse(answer) as Record<string, unknown>) : { text: answer };
          resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body });
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end(text);
  });
}

export class TestInstance implements AsyncDisposable {
  readonly backend: SimulatedBackend;
  readonly directory: string;
  readonly key: string = `skerry_${randomBytes(20).toString('hex')}`;
  readonly masterKey: string = randomBytes(32).toString('hex');
  readonly #used: Backend;
  #running: { readonly store: Store; readonly server: RunningServer } | undefined;

  private constructor(directory: string, backend: SimulatedBackend, used: Backend) {
    this.directory = directory;
    this.backend = backend;
    this.#used = used;
  }

  /** Starts one. `through` puts something between the server and the simulated backend. */
  static async start(
    backend: SimulatedBackend = new SimulatedBackend(),
    through: Backend = backend,
  ): Promise<TestInstance> {
    const instance = new TestInstance(await mkdtemp(join(tmpdir(), 'skerry-server-')), backend, through);
    await instance.up();
    return instance;
  }

  get settings() {
    return {
      instance: 'test01',
      apiSocket: join(this.directory, 'api.sock'),
      gatewaySocket: join(this.directory, 'gateway.sock'),
      adminSocket: join(this.directory, 'admin.sock'),
      masterKey: this.masterKey,
      firstKey: { hash: hashKey(this.key), hint: this.key.slice(0, 12) },
    };
  }

  get server(): RunningServer {
    assert.ok(this.#running !== undefined, 'the server is down');
    return this.#running.server;
  }

  get store(): Store {
    assert.ok(this.#running !== undefined, 'the server is down');
    return this.#running.store;
  }

  async up(): Promise<void> {
    const store = await openStore({ dialect: 'sqlite', file: join(this.directory, 'skerry.db') });
    const log = pino({ level: process.env['SKERRY_TEST_LOG'] ?? 'silent' }, pino.destination({ fd: 2, sync: true }));
    this.#running = { store, server: await startServer(this.settings, store, this.#used, log) };
  }

  async down(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.server[Symbol.asyncDispose]();
    await running?.store[Symbol.asyncDispose]();
  }

  /** Calls the API with the first key. */
  api(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return call(this.settings.apiSocket, method, path, {
      ...(body === undefined ? {} : { body }),
      headers: { authorization: `Bearer ${this.key}`, ...headers },
    });
  }

  async create(body: Readonly<Record<string, unknown>> = {}): Promise<Sandbox> {
    const answer = await this.api('POST', '/v1/sandboxes', body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body as unknown as Sandbox;
  }

  async get(sandbox: string): Promise<Sandbox> {
    const answer = await this.api('GET', `/v1/sandboxes/${sandbox}`);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body as unknown as Sandbox;
  }

  /** Headers of somebody who is admin of another project. */
  async stranger(): Promise<Readonly<Record<string, string>>> {
    const projectId = await this.store.projects.create('theirs', Date.now());
    const key = `skerry_${randomBytes(20).toString('hex')}`;
    await this.store.keys.insert({
      id: newId('key'),
      projectId,
      name: 'theirs',
      role: 'admin',
      hash: hashKey(key),
      hint: key.slice(0, 12),
      createdAtMs: Date.now(),
      expiresAtMs: null,
      revokedAtMs: null,
    });
    return { authorization: `Bearer ${key}` };
  }

  /** Calls something of one sandbox; fails unless it is answered with 200 or 201. */
  async act(sandbox: string, verb: string, body: unknown = {}): Promise<Sandbox> {
    const answer = await this.api('POST', `/v1/sandboxes/${sandbox}/${verb}`, body);
    assert.ok(answer.status === 200 || answer.status === 201, JSON.stringify(answer.body));
    return answer.body as unknown as Sandbox;
  }

  /** Makes a snapshot of a sandbox. */
  async snapshot(sandbox: string, body: Readonly<Record<string, unknown>> = {}): Promise<Snapshot> {
    const answer = await this.api('POST', `/v1/sandboxes/${sandbox}/snapshots`, body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body as unknown as Snapshot;
  }

  /** The boot that runs of a sandbox. */
  bootOf(sandbox: string): BootId {
    const { boots } = this.backend.contents;
    const boot = boots.find(({ sandboxId, state }) => sandboxId === sandbox && state === 'running');
    assert.ok(boot !== undefined, `nothing runs of ${sandbox}: ${JSON.stringify(boots)}`);
    return boot.bootId;
  }

  /** Types of the events of one sandbox, without their noun when that is the sandbox. */
  async events(sandbox: string): Promise<string[]> {
    const answer = await this.api('GET', `/v1/sandboxes/${sandbox}/events?limit=200`);
    return (answer.body['items'] as { type: string }[]).map(({ type }) => type.replace(/^sandbox\./, ''));
  }

  /** Waits until the server has nothing left to do, and everything on the host belongs to somebody. */
  async settle(): Promise<void> {
    await this.server.core.drives.idle();
    await tidySnapshots(this.server.core);
    await this.server.core.drives.idle();
  }

  /** Waits until nothing of any sandbox is on its way, and nothing on the host is to be cleaned away. */
  async calm(deadlineMs = 30_000): Promise<void> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      await this.settle();
      const { items } = (await this.api('GET', '/v1/sandboxes?limit=200')).body as { items: Sandbox[] };
      const onItsWay = items.filter(({ status }) => !['running', 'paused', 'stopped', 'failed'].includes(status));
      const ended = this.backend.contents.boots.filter(({ state }) => state !== 'running');
      const unsettled = await this.store.snapshots.listUnsettled();
      const idle = this.server.core.boots.connected && onItsWay.length + ended.length + unsettled.length === 0;
      if (idle && !items.some(({ id }) => this.server.core.drives.busy(id))) return;
      assert.ok(Date.now() < end, `it does not come to rest: ${JSON.stringify({ onItsWay, ended, unsettled })}`);
      await sleep(5);
    }
  }

  /** Waits until a sandbox has a status. */
  async until(sandbox: string, status: string, deadlineMs = 10_000): Promise<Sandbox> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      const found = await this.get(sandbox);
      if (found.status === status) return found;
      assert.ok(Date.now() < end, `${sandbox} is not ${status}: ${JSON.stringify(found)}`);
      await sleep(5);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    await rm(this.directory, { recursive: true, force: true });
  }
}
