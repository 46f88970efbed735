import type { Backend, BackendDescription, BackendEvent, BootRequest, DiskSpec } from '@skerry/backend';
import {
  type BootId,
  type BootReport,
  type DiskId,
  type DiskReport,
  type GarbageItem,
  type OwnerBlob,
  Problem,
} from '@skerry/model';
import {
  type HostBootList,
  type HostDiskList,
  type HostDiskLog,
  type HostGarbageList,
  hostPaths,
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
    const [method = '', path = ''] = hostPaths.watch.split(' ');
    for await (const event of this.#client.lines(method, path, { signal })) yield event as BackendEvent;
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
    const [method = '', template = ''] = hostPaths[call].split(' ');
    const path = template.replace(/:([A-Za-z]+)/g, (_, name: string) => encodeURIComponent(ids[name] ?? ''));
    try {
      return await this.#client.call(method, path, {
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
        ...(query === undefined ? {} : { query }),
      });
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
