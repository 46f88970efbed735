import { request } from 'node:http';
import { join } from 'node:path';
import { SkerryError } from '@skerry/sdk';
import { readOwn } from './find.ts';

export interface SupervisorStatus {
  readonly url: string;
  readonly instance: string;
  readonly dataDir: string;
  readonly pid: number;
  readonly upSinceMs: number;
  readonly programs: readonly {
    readonly name: string;
    readonly state: string;
    readonly pid?: number;
    readonly restarts: number;
  }[];
}

export interface DownResult {
  readonly rested?: {
    readonly rested: readonly string[];
    readonly paused?: readonly string[];
    readonly deleted: readonly string[];
    readonly failed: readonly { name: string; message: string }[];
  };
  readonly problem?: string;
  readonly hard: boolean;
}

/** Control socket of the instance in a data directory; `undefined` when there is no instance. */
export async function controlSocketOf(dataDir: string): Promise<string | undefined> {
  const text = await readOwn(join(dataDir, 'instance.json'));
  if (text === undefined) return undefined;
  try {
    const { id } = JSON.parse(text) as { id?: unknown };
    return typeof id === 'string' && /^[a-z0-9]{6}$/.test(id) ? `/run/skerry/${id}/supervisor/control.sock` : undefined;
  } catch {
    return undefined;
  }
}

/** Asks the supervisor. Gives back `undefined` when none is alive. */
export async function askSupervisor<T>(
  dataDir: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<T | undefined> {
  const socketPath = await controlSocketOf(dataDir);
  if (socketPath === undefined) return undefined;
  return new Promise<T | undefined>((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const call = request(
      {
        socketPath,
        method,
        path,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          answer += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          const parsed = JSON.parse(answer) as T & { detail?: string; hint?: string };
          if (response.statusCode === 200) resolve(parsed);
          else
            reject(
              new SkerryError({
                code: 'internal',
                reason: 'supervisor_failed',
                message: parsed.detail ?? `The supervisor answered ${response.statusCode}`,
                status: response.statusCode ?? 0,
                ...(parsed.hint === undefined ? {} : { hint: parsed.hint }),
              }),
            );
        });
      },
    );
    call.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else if (error.code === 'ECONNRESET') resolve(undefined);
      else if (error.code === 'EACCES')
        reject(
          new SkerryError({
            code: 'forbidden',
            reason: 'not_root',
            message: 'Only root can control an instance',
            hint: 'Use sudo.',
            status: 0,
            cause: error,
          }),
        );
      else reject(error);
    });
    call.end(text);
  });
}
