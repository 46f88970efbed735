import { readFile } from 'node:fs/promises';

/** What the machine could give to new programs without swapping, in `MiB`, as its kernel estimates it; `undefined` when it does not say. */
export async function memoryAvailableMiB(): Promise<number | undefined> {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'));
  return match === null ? undefined : Math.floor(Number(match[1]) / 1024);
}
