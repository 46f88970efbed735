/** A real host daemon for tests: its own process, store, instance and subnet, with a tiny image; everything goes away at the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { runCommand, tryCommand } from '@skerry/kit';
import {
  type BootId,
  type BootReport,
  type DiskId,
  newId,
  randomLabel,
  type SandboxId,
  type SnapshotId,
  type SnapshotReport,
  type SnapshotSource,
} from '@skerry/model';
import { type ArtifactsConfig, type HostConfig, JsonClient } from '@skerry/protocol';
import { faultVariable } from '@skerry/kit';
import type { FaultPoint } from '../fault-points.ts';
import { makeTinyImage } from './tiny-image.ts';

const repository = join(import.meta.dirname, '../../../..');
export const accessToken = 'token-of-a-test-0123456789';

export interface TestSandbox {
  readonly sandboxId: SandboxId;
  readonly diskId: DiskId;
  readonly bootId: BootId;
}

export interface DiskOptions {
  readonly sizeMiB?: number;
  readonly durable?: boolean;
  readonly image?: string;
  readonly snapshotId?: SnapshotId;
}

export interface BootOptions {
  readonly memoryMiB?: number;
  readonly isolation?: string;
  readonly restoreFrom?: SnapshotId;
  readonly restoreAs?: 'resume' | 'fork';
}

const owner = { version: 1, project: 'test', sandbox: {} };

export class HostProcess implements AsyncDisposable {
  readonly config: HostConfig;
  readonly directory: string;
  readonly client: JsonClient;
  readonly #configFile: string;
  readonly #faultFile: string;
  #child: ChildProcess | undefined;
  /** What the daemon logged, of all its lives. */
  log = '';

  private constructor(directory: string, config: HostConfig) {
    this.directory = directory;
    this.config = config;
    this.#configFile = join(directory, 'host.json');
    this.#faultFile = join(directory, 'fault');
    this.client = new JsonClient(config.socketPath, 'the host daemon');
  }

  /** Makes the instance and starts its daemon. `base`: with the image that people get, which takes a while, besides the tiny one. */
  static async start(storeSizeMiB = 512, base = false): Promise<HostProcess> {
    const artifacts = JSON.parse(
      await runCommand(process.execPath, [join(repository, 'setup/main.ts'), '--json'], { deadlineMs: 900_000 }),
    ) as ArtifactsConfig;
    const directory = await mkdtemp(join(tmpdir(), 'skerry-host-'));
    const instance = randomLabel(6);
    const runDir = join('/run/skerry', instance);
    const config: HostConfig = {
      version: 1,
      instance,
      storeDir: join(directory, 'store'),
      storeImage: join(directory, 'store.img'),
      storeSizeMiB,
      runDir,
      socketPath: join(runDir, 'host/host.sock'),
      artifacts: { ...artifacts, images: [await makeTinyImage(directory), ...(base ? artifacts.images : [])] },
      network: {
        subnet: `10.${randomInt(64, 190)}.${randomInt(256)}.0/24`,
        gatewayUid: 64_902,
        egressUid: 64_903,
        resolverPort: 5353,
        allowEgress: [],
      },
      logLevel: 'debug',
    };
    await mkdir(runDir, { recursive: true, mode: 0o711 });
    const host = new HostProcess(directory, config);
    try {
      await writeFile(host.#configFile, JSON.stringify(config), { mode: 0o600 });
      await host.up();
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
    return host;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts the daemon and waits until it serves. */
  async up(): Promise<void> {
    const child = spawn(process.execPath, [join(repository, 'apps/host/src/main.ts'), '--config', this.#configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, [faultVariable]: this.#faultFile },
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    const lines = createInterface({ input: child.stdout });
    const ready = await Promise.race([once(lines, 'line').then(() => true), once(child, 'exit').then(() => false)]);
    if (!ready) throw new Error(`The host daemon did not start:\n${this.log.slice(-4000)}`);
  }

  /** Ends the daemon with a signal and waits for it. */
  async down(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Lets the daemon kill itself when it comes to this point. */
  async arm(point: FaultPoint): Promise<void> {
    await writeFile(this.#faultFile, point);
  }

  /** Waits until the daemon is dead. */
  async died(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null)
      await once(child, 'exit', { signal: AbortSignal.timeout(20_000) });
  }

  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.client.call(method, path, body === undefined ? {} : { body });
  }

  newSandbox(): TestSandbox {
    return { sandboxId: newId('sandbox'), diskId: newId('disk'), bootId: newId('boot') };
  }

  async putDisk(sandbox: TestSandbox, options: DiskOptions = {}): Promise<unknown> {
    const { sizeMiB = 64, durable = true, image = 'tiny', snapshotId } = options;
    return this.call('PUT', `/v1/disks/${sandbox.diskId}`, {
      sandboxId: sandbox.sandboxId,
      image,
      sizeMiB,
      durable,
      owner,
      ...(snapshotId === undefined ? {} : { snapshotId }),
    });
  }

  async putBoot(sandbox: TestSandbox, options: BootOptions = {}): Promise<BootReport> {
    const { memoryMiB = 256, isolation = 'any', ...restore } = options;
    return (await this.call('PUT', `/v1/boots/${sandbox.bootId}`, {
      sandboxId: sandbox.sandboxId,
      diskId: sandbox.diskId,
      hostname: 'test',
      cpus: 1,
      memoryMiB,
      isolation,
      generation: 1,
      accessToken,
      env: {},
      user: 'root',
      ...restore,
    })) as BootReport;
  }

  async stop(sandbox: TestSandbox, graceMs = 2000): Promise<BootReport> {
    return (await this.call('POST', `/v1/boots/${sandbox.bootId}/stop`, { graceMs })) as BootReport;
  }

  /** Makes a snapshot of a running sandbox; with `end` it is paused. */
  async save(
    sandbox: TestSandbox,
    options: { snapshotId?: SnapshotId; memory?: boolean; end?: boolean } = {},
  ): Promise<SnapshotReport> {
    const { snapshotId = newId('snapshot'), memory = true, end = false } = options;
    return this.putSnapshot(sandbox, snapshotId, { type: 'boot', bootId: sandbox.bootId, memory, end });
  }

  async putSnapshot(sandbox: TestSandbox, snapshotId: SnapshotId, source: SnapshotSource): Promise<SnapshotReport> {
    const origin = source.type === 'boot' && source.end ? 'pause' : 'user';
    const body = { sandboxId: sandbox.sandboxId, source, origin, owner };
    return (await this.call('PUT', `/v1/snapshots/${snapshotId}`, body)) as SnapshotReport;
  }

  async getBoot(sandbox: TestSandbox): Promise<BootReport> {
    return (await this.call('GET', `/v1/boots/${sandbox.bootId}`)) as BootReport;
  }

  /** Ends and deletes all of a sandbox. */
  async destroy(sandbox: TestSandbox): Promise<void> {
    await this.call('DELETE', `/v1/boots/${sandbox.bootId}`);
    await this.call('DELETE', `/v1/disks/${sandbox.diskId}`);
  }

  /** Names of what still exists of this instance in the kernel and in the store. */
  async remains(): Promise<string[]> {
    const { items } = (await this.call('GET', '/v1/garbage')) as { items: { kind: string; name: string }[] };
    return items.map(({ kind, name }) => `${kind} ${name}`);
  }

  /** Takes the instance off the machine. */
  async tearDown(): Promise<string> {
    const result = await tryCommand(process.execPath, [
      join(repository, 'apps/host/src/teardown/main.ts'),
      '--config',
      this.#configFile,
    ]);
    if (result.status !== 0) throw new Error(`The tear-down failed: ${result.stderr.slice(-2000)}`);
    return result.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down('SIGKILL');
    this.client[Symbol.dispose]();
    await this.tearDown();
    await rm(this.config.runDir, { recursive: true, force: true });
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Writes a file inside a sandbox through its guest; gives back the status. */
export async function writeInside(address: string, path: string, content: string | Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        // Another boot may have the address next: a kept connection would end in its reset.
        agent: false,
        host: address,
        port: 49983,
        method: 'POST',
        path: `/files?path=${encodeURIComponent(path)}&username=root`,
        headers: {
          'x-access-token': accessToken,
          'content-type': 'application/octet-stream',
          'content-length': Buffer.byteLength(content),
        },
        timeout: 20_000,
      },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode ?? 0));
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error('The guest does not answer')));
    outgoing.once('error', reject);
    outgoing.end(content);
  });
}

/** Reads a file of a disk as it lies on the host. */
export async function readOnHost(host: HostProcess, sandbox: TestSandbox, path: string): Promise<string> {
  return readFile(join(host.config.storeDir, 'disks', sandbox.diskId, 'root', path), 'utf8');
}
