import { type EntryInfo, filesystemPaths } from '@skerry/protocol/client';
import type { GuestCall, GuestClient } from '../guest-client.ts';

export interface WatchEvent {
  /** Relative to the watched folder. */
  readonly name: string;
  readonly type: string;
  readonly entry?: EntryInfo;
}

/** The files of one sandbox. Relative paths and `~` start at the user's home. */
export class Files {
  readonly #guest: GuestClient;

  constructor(guest: GuestClient) {
    this.#guest = guest;
  }

  /** The content of a file as a stream. */
  async read(path: string, call: GuestCall = {}): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#guest.request('GET', `/files?${query(path, call)}`, {
      ...call,
      headers: { 'accept-encoding': 'identity' },
    });
    return response.body ?? new Blob([]).stream();
  }

  async readText(path: string, call: GuestCall = {}): Promise<string> {
    return new Response(await this.read(path, call)).text();
  }

  /** Writes a file whole; folders above it are made. */
  async write(
    path: string,
    content: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
    call: GuestCall = {},
  ): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' };
    const response = await this.#guest.request('POST', `/files?${query(path, call)}`, {
      ...call,
      headers,
      body: content as RequestInit['body'],
    });
    await response.body?.cancel();
  }

  async stat(path: string, call: GuestCall = {}): Promise<EntryInfo> {
    return (await this.#guest.unary<{ entry: EntryInfo }>(filesystemPaths.stat, { path }, call)).entry;
  }

  async list(path: string, call: GuestCall & { readonly depth?: number } = {}): Promise<readonly EntryInfo[]> {
    const message = { path, depth: call.depth ?? 1 };
    return (await this.#guest.unary<{ entries?: EntryInfo[] }>(filesystemPaths.listDir, message, call)).entries ?? [];
  }

  async makeDir(path: string, call: GuestCall = {}): Promise<EntryInfo> {
    return (await this.#guest.unary<{ entry: EntryInfo }>(filesystemPaths.makeDir, { path }, call)).entry;
  }

  async move(source: string, destination: string, call: GuestCall = {}): Promise<EntryInfo> {
    return (await this.#guest.unary<{ entry: EntryInfo }>(filesystemPaths.move, { source, destination }, call)).entry;
  }

  /** Removes a file, or a folder with what is in it; fine when there is none. */
  async remove(path: string, call: GuestCall = {}): Promise<void> {
    await this.#guest.unary(filesystemPaths.remove, { path }, call);
  }

  /** Changes in a folder as they happen, until the loop is left. */
  async *watch(path: string, call: GuestCall & { readonly recursive?: boolean } = {}): AsyncGenerator<WatchEvent> {
    const message = { path, recursive: call.recursive ?? false };
    for await (const event of this.#guest.stream<{ filesystem?: WatchEvent }>(filesystemPaths.watchDir, message, call))
      if (event.filesystem !== undefined) yield event.filesystem;
  }
}

function query(path: string, call: GuestCall): string {
  return new URLSearchParams({ path, ...(call.user === undefined ? {} : { username: call.user }) }).toString();
}
