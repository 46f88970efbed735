/** What guests print: `logs/<disk id>/<start>-<boot id>.log`. It is hostile and without end, so each file is kept small. */
import { mkdir, open, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '@skerry/kit';
import type { BootId, DiskId } from '@skerry/model';
import { isMissing } from '../store/missing.ts';

const fileMaxBytes = 8 * 1024 * 1024;
/** How much of a file that grew too large is kept. */
const keptBytes = 4 * 1024 * 1024;
const keptBoots = 3;
const sweepMs = 5000;

export class GuestLogs implements Disposable {
  readonly #directory: string;
  readonly #log: Log;
  /** Files that a running guest appends to. */
  readonly #open = new Map<BootId, string>();
  readonly #timer: NodeJS.Timeout;

  constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
    this.#timer = setInterval(() => void this.sweep(), sweepMs);
    this.#timer.unref();
  }

  /** The file for a boot's output; older boots of the disk beyond the newest few are forgotten. */
  async prepare(diskId: DiskId, bootId: BootId, startedAtMs: number): Promise<string> {
    const directory = join(this.#directory, diskId);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of (await logNames(directory)).slice(0, -(keptBoots - 1)))
      for (const path of [join(directory, name), join(directory, `${name}.old`)]) await rm(path, { force: true });
    return this.resume(diskId, bootId, startedAtMs);
  }

  /** The same for a boot that runs already. */
  resume(diskId: DiskId, bootId: BootId, startedAtMs: number): string {
    const path = join(this.#directory, diskId, `${String(startedAtMs).padStart(15, '0')}-${bootId}.log`);
    this.#open.set(bootId, path);
    return path;
  }

  close(bootId: BootId): void {
    this.#open.delete(bootId);
  }

  /** The last `maxBytes` of what the disk's newest boots printed. */
  async read(diskId: DiskId, maxBytes: number): Promise<string> {
    const directory = join(this.#directory, diskId);
    const parts: Buffer[] = [];
    let wanted = maxBytes;
    for (const name of (await logNames(directory)).reverse())
      for (const path of [join(directory, name), join(directory, `${name}.old`)]) {
        if (wanted <= 0) break;
        const part = await readTail(path, wanted);
        parts.unshift(part);
        wanted -= part.length;
      }
    return Buffer.concat(parts).toString();
  }

  async forget(diskId: DiskId): Promise<void> {
    await rm(join(this.#directory, diskId), { recursive: true, force: true });
  }

  /** Cuts files that have grown too large: their end is kept beside them, in place of the one before. */
  async sweep(): Promise<void> {
    for (const path of this.#open.values()) {
      try {
        if ((await stat(path)).size <= fileMaxBytes) continue;
        // The guest holds the file open for appending, so it is emptied in place.
        await writeFile(`${path}.tmp`, await readTail(path, keptBytes), { mode: 0o600 });
        await truncate(path);
        await rename(`${path}.tmp`, `${path}.old`);
      } catch (error) {
        if (!isMissing(error)) this.#log.warn('A guest log cannot be cut', { path, error: String(error) });
      }
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

async function logNames(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return names.filter((name) => name.endsWith('.log')).sort();
}

async function readTail(path: string, maxBytes: number): Promise<Buffer> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (handle === undefined) return Buffer.alloc(0);
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, maxBytes);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await handle.read(buffer, 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
