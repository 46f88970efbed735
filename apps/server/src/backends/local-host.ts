import type {
  Backend,
  BackendDescription,
  BackendEvent,
  BootRequest,
  DiskSpec,
  DiskState,
  SnapshotSpec,
} from '@skerry/backend';
import {
  type BootActivity,
  type BootId,
  type BootReport,
  type DiskDiff,
  type DiskId,
  type DiskReport,
  type GarbageItem,
  type OwnerBlob,
  Problem,
  type SandboxId,
  type SnapshotId,
  type SnapshotReport,
} from '@skerry/model';
import {
  type HostActivity,
  type HostBootList,
  type HostDiskList,
  type HostDiskLog,
  type HostGarbageList,
  type HostImport,
  type HostSnapshotList,
  hostPaths,
  type JsonCall,
  JsonClient,
} from '@skerry/protocol';

type HostCall = keyof typeof hostPaths;

/** The host daemon of this machine as a backend. Server and host are of one checkout: its answers are taken as they are. */
export class LocalHost implements Backend, Disposable {
  readonly #client: JsonClient;

  constructor(socketPath: string) {
    this.#client = new JsonClient(socketPath, 'the host daemon');
  }

  async describe(signal?: AbortSignal): Promise<BackendDescription> {
    return (await this.#call('describe', {}, undefined, signal)) as BackendDescription;
  }

  async createDisk({ diskId, ...body }: DiskSpec, signal?: AbortSignal): Promise<DiskReport> {
    return (await this.#call('putDisk', { diskId }, body, signal)) as DiskReport;
  }

  async setDiskOwner(diskId: DiskId, owner: OwnerBlob, signal?: AbortSignal): Promise<void> {
    await this.#call('putDiskOwner', { diskId }, { owner }, signal);
  }

  async deleteDisk(diskId: DiskId, signal?: AbortSignal): Promise<void> {
    await this.#call('deleteDisk', { diskId }, undefined, signal);
  }

  async listDisks(signal?: AbortSignal): Promise<readonly DiskReport[]> {
    return ((await this.#call('listDisks', {}, undefined, signal)) as HostDiskList).items;
  }

  async startBoot({ bootId, ...body }: BootRequest, signal?: AbortSignal): Promise<BootReport> {
    return (await this.#call('putBoot', { bootId }, body, signal)) as BootReport;
  }

  async stopBoot(bootId: BootId, graceMs: number, signal?: AbortSignal): Promise<BootReport> {
    return (await this.#call('stopBoot', { bootId }, { graceMs }, signal)) as BootReport;
  }

  async deleteBoot(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#call('deleteBoot', { bootId }, undefined, signal);
  }

  async getBoot(bootId: BootId, signal?: AbortSignal): Promise<BootReport> {
    return (await this.#call('getBoot', { bootId }, undefined, signal)) as BootReport;
  }

  async listBoots(signal?: AbortSignal): Promise<readonly BootReport[]> {
    return ((await this.#call('listBoots', {}, undefined, signal)) as HostBootList).items;
  }

  async *watch(signal: AbortSignal): AsyncIterable<BackendEvent> {
    const { method, path } = pathOf('watch', {});
    for await (const event of this.#client.lines(method, path, { signal })) yield event as BackendEvent;
  }

  async createSnapshot({ snapshotId, ...body }: SnapshotSpec, signal?: AbortSignal): Promise<SnapshotReport> {
    return (await this.#call('putSnapshot', { snapshotId }, body, signal)) as SnapshotReport;
  }

  async getSnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<SnapshotReport> {
    return (await this.#call('getSnapshot', { snapshotId }, undefined, signal)) as SnapshotReport;
  }

  async listSnapshots(signal?: AbortSignal): Promise<readonly SnapshotReport[]> {
    return ((await this.#call('listSnapshots', {}, undefined, signal)) as HostSnapshotList).items;
  }

  async setSnapshotOwner(snapshotId: SnapshotId, owner: OwnerBlob, signal?: AbortSignal): Promise<void> {
    await this.#call('putSnapshotOwner', { snapshotId }, { owner }, signal);
  }

  async deleteSnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<void> {
    await this.#call('deleteSnapshot', { snapshotId }, undefined, signal);
  }

  async verifySnapshot(snapshotId: SnapshotId, signal?: AbortSignal): Promise<void> {
    await this.#call('verifySnapshot', { snapshotId }, {}, signal);
  }

  async diff(before: DiskState, after: DiskState, limit: number, signal?: AbortSignal): Promise<DiskDiff> {
    return (await this.#call('diff', {}, { before, after, limit }, signal)) as DiskDiff;
  }

  async *exportSnapshot(snapshotId: SnapshotId, memory: boolean, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const { method, path } = pathOf('exportSnapshot', { snapshotId });
    yield* this.#client.bytes(method, path, {
      query: { memory: String(memory) },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async importSnapshot(
    snapshotId: SnapshotId,
    sandboxId: SandboxId,
    owner: OwnerBlob,
    content: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<HostImport> {
    const query = { sandboxId, owner: Buffer.from(JSON.stringify(owner)).toString('base64url') };
    return (await this.#send('importSnapshot', { snapshotId }, { content, query }, signal)) as HostImport;
  }

  async freezeBoot(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#call('freezeBoot', { bootId }, {}, signal);
  }

  async thawBoot(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#call('thawBoot', { bootId }, {}, signal);
  }

  async sampleActivity(signal?: AbortSignal): Promise<readonly BootActivity[]> {
    return ((await this.#call('sampleActivity', {}, undefined, signal)) as HostActivity).items;
  }

  async readLog(diskId: DiskId, maxBytes: number, signal?: AbortSignal): Promise<string> {
    return ((await this.#call('diskLog', { diskId }, undefined, signal, { maxBytes: String(maxBytes) })) as HostDiskLog)
      .text;
  }

  async listGarbage(signal?: AbortSignal): Promise<readonly GarbageItem[]> {
    return ((await this.#call('listGarbage', {}, undefined, signal)) as HostGarbageList).items;
  }

  async collectGarbage(minAgeMs: number, signal?: AbortSignal): Promise<readonly GarbageItem[]> {
    return ((await this.#call('collectGarbage', {}, { minAgeMs }, signal)) as HostGarbageList).items;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #call(
    call: HostCall,
    ids: Readonly<Record<string, string>>,
    body: unknown,
    signal: AbortSignal | undefined,
    query?: Readonly<Record<string, string>>,
  ): Promise<unknown> {
    const parts = { ...(body === undefined ? {} : { body }), ...(query === undefined ? {} : { query }) };
    return this.#send(call, ids, parts, signal);
  }

  async #send(
    call: HostCall,
    ids: Readonly<Record<string, string>>,
    parts: JsonCall,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { method, path } = pathOf(call, ids);
    try {
      return await this.#client.call(method, path, { ...parts, ...(signal === undefined ? {} : { signal }) });
    } catch (error) {
      if (error instanceof Problem) throw error;
      if (signal?.aborted === true) throw Problem.from(signal.reason);
      // An answer that was cut off says nothing of what happened: the call is repeated.
      throw new Problem('unavailable', 'The connection to the host daemon broke', {
        reason: 'peer_lost',
        cause: error,
      });
    }
  }
}

function pathOf(
  call: HostCall,
  ids: Readonly<Record<string, string>>,
): { readonly method: string; readonly path: string } {
  const [method = '', template = ''] = hostPaths[call].split(' ');
  return { method, path: template.replace(/:([A-Za-z]+)/g, (_, name: string) => encodeURIComponent(ids[name] ?? '')) };
}
