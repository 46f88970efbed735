import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, posix, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { type Sandbox, SkerryError } from '@skerry/sdk';
import { usageError } from '../output/failure.ts';

const pieceBytes = 512 * 1024;

/** Copies a file, a folder or standard input into a sandbox, as `cp -r` would: into a folder that exists, or to that very name. */
export async function upload(
  sandbox: Sandbox,
  source: string,
  destination: string,
  user: string | undefined,
): Promise<void> {
  const call = { user };
  if (source === '-') {
    await sandbox.files.write(destination, toWeb(process.stdin), call);
    return;
  }
  const facts = await stat(source).catch((cause: unknown) => {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SkerryError({
      code: code === 'ENOENT' ? 'not_found' : 'invalid',
      reason: 'local_file',
      message: code === 'ENOENT' ? `There is no "${source}" on this machine` : `Cannot read "${source}": ${code}`,
      status: 0,
    });
  });
  const target = await targetInside(sandbox, destination, basename(resolve(source)), user);
  if (facts.isDirectory()) {
    await uploadFolder(sandbox, source, target, user);
    return;
  }
  if (!facts.isFile()) throw usageError(`"${source}" is neither a file nor a folder`);
  await sandbox.files.write(target, toWeb(createReadStream(source)), call);
  const mode = (facts.mode & 0o777).toString(8);
  const finish = await sandbox.process.run({
    command: [
      'sh',
      '-c',
      'chmod "$1" -- "$3" && touch -d "@$2" -- "$3"',
      'sh',
      mode,
      String(facts.mtimeMs / 1000),
      target,
    ],
    user,
  });
  if (finish.exitCode !== 0)
    throw new SkerryError({
      code: 'internal',
      reason: 'attributes',
      message: `"${target}" is copied, but not its mode and time: ${finish.stderr.trim()}`,
      status: 0,
    });
}

/** Where a copy named `name` goes. */
async function targetInside(
  sandbox: Sandbox,
  destination: string,
  name: string,
  user: string | undefined,
): Promise<string> {
  if (destination.endsWith('/')) return posix.join(destination, name);
  try {
    const entry = await sandbox.files.stat(destination, { user });
    if (entry.type === 'FILE_TYPE_DIRECTORY') return posix.join(entry.path, name);
    return entry.path;
  } catch (error) {
    if (error instanceof SkerryError && error.code === 'not_found') return destination;
    throw error;
  }
}

async function uploadFolder(sandbox: Sandbox, source: string, target: string, user: string | undefined): Promise<void> {
  const unpack = await sandbox.process.start({
    command: [
      'sh',
      '-c',
      'mkdir -p -- "$1" && exec tar --extract --file=- --preserve-permissions --no-same-owner --directory "$1"',
      'sh',
      target,
    ],
    user,
    stdin: true,
  });
  // Its output is read from the first moment: what nobody reads is lost when it ends.
  const pack = spawn('tar', ['--create', '--file=-', '--sparse', '--format=posix', '--directory', source, '.'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const complaints = collect(pack.stderr);
  const packed = new Promise<number | null>((done, fail) => {
    pack.once('error', fail);
    pack.once('close', done);
  });
  let said = '';
  const ended = unpack.wait(({ data }) => {
    said = (said + Buffer.from(data).toString()).slice(-2000);
  });
  // Whoever ends first, the other must not be waited for in vain.
  const sending = (async () => {
    for await (const piece of pieces(pack.stdout)) await unpack.sendInput(piece);
    await unpack.closeStdin();
  })().catch((error: unknown) => error);
  const exit = await ended;
  if (exit.exitCode !== 0) {
    pack.kill('SIGKILL');
    throw new SkerryError({
      code: /[Pp]ermission denied/.test(said) ? 'forbidden' : 'internal',
      reason: 'unpack_failed',
      message: `"${target}" could not be written: ${said.trim()}`,
      hint: 'Is there room, and may the user write there? --user root may write everywhere.',
      status: 0,
    });
  }
  const problem = await sending;
  // Once it has seen the archive's end it goes without waiting for that of its input.
  if (problem !== undefined && !(problem instanceof SkerryError && problem.code === 'not_found'))
    throw problem instanceof Error ? problem : new Error('The archive could not be sent', { cause: problem });
  if ((await packed) !== 0)
    throw new SkerryError({
      code: 'invalid',
      reason: 'pack_failed',
      message: `"${source}" could not be read whole: ${complaints().trim()}`,
      status: 0,
    });
}

/** Joins small chunks, so that fewer calls are made. */
async function* pieces(source: Readable): AsyncGenerator<Uint8Array> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    held.push(chunk);
    bytes += chunk.length;
    if (bytes < pieceBytes) continue;
    yield Buffer.concat(held);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

function collect(stream: Readable): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-2000);
  });
  return () => text;
}

function toWeb(stream: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(stream) as ReadableStream<Uint8Array>;
}
