/** Takes an export apart into an empty tree and a memory directory. The file may come from anybody: nothing of it is believed before it is checked. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { Problem } from '@skerry/model';
import { damaged } from './damaged.ts';
import {
  diskSection,
  type ExportManifest,
  type ExportSection,
  type ExportSignature,
  memorySection,
  parseExportDigests,
  parseExportManifest,
  parseExportSignature,
} from './export-manifest.ts';
import type { Jailed } from './jail.ts';
import { type Member, readMembers } from './members.ts';
import { decompress, unpackTree } from './tree-tar.ts';

/** Where the parts of an export go. */
export interface ImportTarget {
  /** An empty, writable tree whose size is limited. */
  readonly root: string;
  /** Most that the tar of the tree may have, in `bytes`: what takes no space, such as a file that is written again and again, is bounded too. */
  readonly mostTreeBytes: number;
  /** A directory for the memory files; `undefined` to leave them out. */
  readonly memoryDirectory: string | undefined;
}

export interface ImportParts {
  readonly content: AsyncIterable<Uint8Array>;
  /** An empty directory for tar's jail. */
  readonly jail: string;
  /** Makes ready for what the manifest says. Throws when it cannot be taken. */
  readonly prepare: (manifest: ExportManifest) => Promise<ImportTarget>;
  /** Called from time to time with what has been unpacked. Throws when no more can be taken. */
  readonly admit: () => Promise<void>;
}

/** An export that was whole; what is left to decide is whether its memory is trusted. */
export interface ImportedFile {
  readonly manifest: ExportManifest;
  /** What `signature` is of. */
  readonly digests: Buffer;
  readonly signature: ExportSignature;
}

/** More memory than the sandbox had is not believed; this much is the engine's own. */
const memoryOverheadBytes = 256 * 1024 * 1024;
const admitEveryBytes = 64 * 1024 * 1024;

/**
 * Reads the whole file. Throws `data_loss` when it is cut, changed, or none of ours; `exhausted` when there is no room; what was unpacked until then is
 * to be removed by the caller.
 */
export async function importSnapshot(parts: ImportParts, signal?: AbortSignal): Promise<ImportedFile> {
  const { child, ended } = decompress(parts.jail);
  let sourceFailure: unknown;
  const flowing = pipeline(
    Readable.from(keptOpen(parts.content), { objectMode: false }),
    child.stdin,
    signal === undefined ? {} : { signal },
  ).catch((error: unknown) => {
    // A decompressor that ends early is judged by its own words.
    if (!isBrokenPipe(error)) sourceFailure = error;
  });
  const members = readMembers(child.stdout as AsyncIterable<Buffer>);
  try {
    const imported = await takeApart(members, parts);
    const words = await ended;
    if (words !== undefined) throw damaged('it is no whole zstd file', new Error(words));
    return imported;
  } catch (error) {
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    throw sourceFailure ?? error;
  } finally {
    child.kill('SIGKILL');
    // What nobody will read must not keep it from being over.
    child.stdout.destroy();
    await ended;
    await flowing;
  }
}

async function takeApart(members: AsyncGenerator<Member, void, undefined>, parts: ImportParts): Promise<ImportedFile> {
  const next = async (): Promise<Member> => {
    const step = await members.next();
    if (step.done === true) throw damaged('its end is missing');
    return step.value;
  };
  const first = await next();
  if (first.name !== 'manifest.json') throw damaged('it does not begin with a manifest');
  const manifest = parseExportManifest(first.data);
  const { root, mostTreeBytes, memoryDirectory } = await parts.prepare(manifest);
  const names = [...(manifest.memory?.files ?? []).map((file) => memorySection(file.name)), diskSection];
  if (new Set(names).size !== names.length) throw damaged('it names a part twice');
  const sections: ExportSection[] = [];
  let member = await next();
  let unpackedBytes = 0;
  let admittedBytes = 0;
  for (const name of names) {
    const file = manifest.memory?.files.find((candidate) => memorySection(candidate.name) === name);
    const most = file?.bytes ?? mostTreeBytes;
    if (file !== undefined && file.bytes > mostMemoryBytes(manifest))
      throw damaged('its memory is larger than it can have been');
    await using sink = await openSink(
      file === undefined
        ? { tree: root, jail: parts.jail }
        : memoryDirectory === undefined
          ? undefined
          : { file: join(memoryDirectory, file.name) },
    );
    const hash = createHash('sha256');
    let bytes = 0;
    for (let number = 0; member.name === `${name}.${String(number).padStart(8, '0')}`; number++) {
      bytes += member.data.length;
      if (bytes > most) throw damaged(`"${name}" is larger than it says`);
      hash.update(member.data);
      await sink.write(member.data);
      unpackedBytes += member.data.length;
      if (unpackedBytes - admittedBytes >= admitEveryBytes) {
        await parts.admit();
        admittedBytes = unpackedBytes;
      }
      member = await next();
    }
    await sink.end();
    sections.push({ name, bytes, sha256: hash.digest('hex') });
  }
  const signed = expect(member, 'digests.json');
  const signature = parseExportSignature(expect(await next(), 'signature.json'));
  if ((await members.next()).done !== true) throw damaged('it goes on after its end');
  compare(parseExportDigests(signed), first.data, sections);
  return { manifest, digests: signed, signature };
}

function compare(
  stated: { readonly manifest: string; readonly sections: readonly ExportSection[] },
  manifest: Buffer,
  found: readonly ExportSection[],
): void {
  if (stated.manifest !== sha256(manifest)) throw damaged('its manifest has changed');
  if (stated.sections.length !== found.length) throw damaged('a part is missing');
  for (const [index, section] of found.entries()) {
    const other = stated.sections[index];
    if (other?.name !== section.name || other.bytes !== section.bytes || other.sha256 !== section.sha256)
      throw damaged(`"${section.name}" has changed`);
  }
}

function mostMemoryBytes(manifest: ExportManifest): number {
  return (manifest.memory?.memoryMiB ?? 0) * 1024 * 1024 + memoryOverheadBytes;
}

function expect(member: Member, name: string): Buffer {
  if (member.name !== name) throw damaged(`"${name}" is missing`);
  return member.data;
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Takes one stream of an export. Disposing it before its end leaves no process behind. */
interface Sink extends AsyncDisposable {
  write(data: Buffer): Promise<void>;
  end(): Promise<void>;
}

async function openSink(
  where: { readonly tree: string; readonly jail: string } | { readonly file: string } | undefined,
): Promise<Sink> {
  if (where === undefined)
    return { write: async () => undefined, end: async () => undefined, [Symbol.asyncDispose]: async () => undefined };
  if ('tree' in where) return treeSink(unpackTree(where.tree, where.jail));
  return fileSink(await open(where.file, 'wx', 0o600));
}

function fileSink(handle: FileHandle): Sink {
  return {
    async write(data) {
      await handle.writeFile(data);
    },
    end: async () => undefined,
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

function treeSink({ child, ended }: Jailed): Sink {
  child.stdout.resume();
  // What tar did not take is judged by how it ended.
  child.stdin.on('error', () => undefined);
  const fail = async (): Promise<void> => {
    const words = await ended;
    if (words !== undefined) throw unpackProblem(words);
  };
  return {
    async write(data) {
      if (child.stdin.destroyed) {
        await fail();
        throw damaged('its files go on after their end');
      }
      if (!child.stdin.write(data))
        await Promise.race([new Promise<void>((resolve) => child.stdin.once('drain', resolve)), ended]);
    },
    async end() {
      child.stdin.end();
      await finished(child.stdin).catch(() => undefined);
      await fail();
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function unpackProblem(words: string): Problem {
  if (/Disk quota exceeded|No space left on device/.test(words))
    return new Problem(
      'exhausted',
      'The files do not fit into the disk that the export says it is of, or into the host',
      {
        reason: 'import_too_large',
        exhaustion: 'disk',
        hint: 'Free some space of the host, then try again.',
        context: { words },
      },
    );
  return new Problem('data_loss', 'The file cannot be imported: its files cannot be unpacked', {
    reason: 'export_damaged',
    hint: 'Nothing was made of it. Export again, or fetch the file again.',
    context: { words },
  });
}

/** The bytes of a request whose answer is still to be sent: ending their iterator early would close its connection. */
function keptOpen(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const chunks = content[Symbol.asyncIterator]();
      return { next: () => chunks.next() };
    },
  };
}

function isBrokenPipe(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE')
  );
}
