import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type EntryInfo, type Sandbox, SkerryError } from '@skerry/sdk';
import { writeBytes } from '../output/print.ts';
import { unpackTar } from './unpack-tar.ts';

/** Copies a file or a folder out of a sandbox, as `cp -r` would: into a folder that exists, or to that very name. */
export async function download(
  sandbox: Sandbox,
  source: string,
  destination: string,
  user: string | undefined,
): Promise<void> {
  const entry = await sandbox.files.stat(source, { user }).catch((error: unknown) => {
    if (error instanceof SkerryError && error.code === 'not_found')
      throw new SkerryError({
        code: 'not_found',
        reason: 'no_such_file',
        message: `There is no "${source}" in the sandbox "${sandbox.name}"`,
        hint: `See "skerry exec ${sandbox.name} -- ls -la ${posix.dirname(source)}".`,
        status: 404,
      });
    throw error;
  });
  if (destination === '-') {
    if (entry.type === 'FILE_TYPE_DIRECTORY') {
      await packed(sandbox, entry.path, user, async (chunks) => {
        for await (const chunk of chunks) await writeBytes(process.stdout, chunk);
      });
      return;
    }
    const content = await sandbox.files.read(entry.path, { user });
    for await (const chunk of content as unknown as AsyncIterable<Uint8Array>) await writeBytes(process.stdout, chunk);
    return;
  }
  const target = await localTarget(destination, basename(entry.path));
  if (entry.type === 'FILE_TYPE_DIRECTORY')
    await packed(sandbox, entry.path, user, (chunks) => unpackTar(chunks, target));
  else await downloadFile(sandbox, entry, target, user);
}

async function downloadFile(
  sandbox: Sandbox,
  entry: EntryInfo,
  target: string,
  user: string | undefined,
): Promise<void> {
  const content = await sandbox.files.read(entry.path, { user });
  const partial = join(dirname(target), `.${basename(target)}.${randomBytes(4).toString('hex')}.part`);
  try {
    await pipeline(
      content as unknown as AsyncIterable<Uint8Array>,
      createWriteStream(partial, { flags: 'wx', mode: 0o600 }),
    );
    // Rights of other users only: a setuid file from a sandbox must not become one here.
    await chmod(partial, (entry.mode ?? 0o644) & 0o777);
    const modified = Date.parse(entry.modifiedTime ?? '') / 1000;
    if (Number.isFinite(modified)) await utimes(partial, modified, modified);
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    throw localProblem(error, target);
  }
}

/** Reads a folder of the sandbox as a tar stream. */
async function packed(
  sandbox: Sandbox,
  path: string,
  user: string | undefined,
  take: (chunks: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  await using running = await sandbox.process.start({
    command: ['tar', '--create', '--file=-', '--format=posix', '--directory', path, '.'],
    user,
  });
  let said = '';
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const { from, data } of running.output())
      if (from === 'stdout') yield data;
      else said = (said + Buffer.from(data).toString()).slice(-2000);
  }
  try {
    await take(chunks());
  } catch (error) {
    throw localProblem(error, path);
  }
  const { exit } = running;
  if (exit === undefined || exit.exitCode !== 0)
    throw new SkerryError({
      code: 'invalid',
      reason: 'pack_failed',
      message: `"${path}" could not be read whole: ${said.trim()}`,
      hint: 'With --user root everything can be read.',
      status: 0,
    });
}

async function localTarget(destination: string, name: string): Promise<string> {
  const folder = await stat(destination).then(
    (facts) => facts.isDirectory(),
    () => destination.endsWith('/'),
  );
  return folder ? join(destination, name) : destination;
}

function localProblem(error: unknown, path: string): unknown {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (error instanceof SkerryError || code === undefined) return error;
  return new SkerryError({
    code: code === 'ENOENT' ? 'not_found' : 'invalid',
    reason: 'local_file',
    message: `Cannot write "${path}": ${(error as Error).message}`,
    status: 0,
    cause: error,
  });
}
