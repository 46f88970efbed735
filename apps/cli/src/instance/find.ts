import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Skerry, SkerryError } from '@skerry/sdk';
import type { CommonOptions } from '../command.ts';
import { usageError } from '../output/failure.ts';
import { dataDirOf } from './paths.ts';

export interface Endpoint {
  readonly url: string;
  readonly pid: number;
}

/** A client of the Skerry that is meant: that of `SKERRY_URL`, or the instance in the data directory. Throws what is missing, and why. */
export async function connect(options: CommonOptions): Promise<Skerry> {
  const url = process.env['SKERRY_URL'];
  // An instance that is named on the command line is meant, whatever the environment says.
  if (options.data === undefined && url !== undefined && url !== '') {
    const apiKey = process.env['SKERRY_API_KEY'];
    if (apiKey === undefined || apiKey === '')
      throw usageError(
        'SKERRY_URL is set, but SKERRY_API_KEY is not',
        'Set SKERRY_API_KEY to a key of that Skerry: "skerry key" prints one where it runs.',
      );
    if (!URL.canParse(url))
      throw usageError(`SKERRY_URL is "${url}", which is no address`, 'Write it as http://HOST:PORT.');
    return new Skerry({ url, apiKey });
  }
  const dataDir = dataDirOf(options);
  const endpoint = await readEndpoint(dataDir);
  if (endpoint === undefined)
    throw new SkerryError({
      code: 'unavailable',
      reason: 'not_running',
      message: `Skerry does not run in "${dataDir}"`,
      hint: 'Start it with "skerry up --detach", name another directory with --data, or set SKERRY_URL and SKERRY_API_KEY.',
      status: 0,
    });
  return new Skerry({ url: endpoint.url, apiKey: await readKey(dataDir) });
}

/** Where the instance of a data directory answers; `undefined` when it is not up. */
export async function readEndpoint(dataDir: string): Promise<Endpoint | undefined> {
  const text = await readOwn(join(dataDir, 'endpoint.json'));
  if (text === undefined) return undefined;
  try {
    const { url, pid } = JSON.parse(text) as Partial<Endpoint>;
    return typeof url === 'string' && typeof pid === 'number' ? { url, pid } : undefined;
  } catch {
    return undefined;
  }
}

/** The first API key of an instance. */
export async function readKey(dataDir: string): Promise<string> {
  const key = await readOwn(join(dataDir, 'api.key'));
  if (key === undefined)
    throw new SkerryError({
      code: 'not_found',
      reason: 'no_instance',
      message: `There is no Skerry in "${dataDir}"`,
      hint: 'Start one there with "skerry up", or name another directory with --data.',
      status: 0,
    });
  return key.trim();
}

/** A file of the instance; `undefined` when it does not exist. */
export async function readOwn(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES' || code === 'EPERM')
      throw new SkerryError({
        code: 'forbidden',
        reason: 'not_root',
        message: `Only root can read "${file}"`,
        hint: 'Use sudo, or set SKERRY_URL and SKERRY_API_KEY.',
        status: 0,
        cause,
      });
    throw cause;
  }
}
