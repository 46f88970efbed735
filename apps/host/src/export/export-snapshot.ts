/** Writes a snapshot as one file: zstd over a tar with manifest, memory files, the tree of the disk, digests and a signature. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { Problem } from '@skerry/model';
import {
  diskSection,
  type ExportDigests,
  type ExportManifest,
  type ExportSection,
  type ExportSignature,
  memorySection,
} from './export-manifest.ts';
import { formatEnd, formatMember, mostMemberBytes } from './members.ts';
import { packTree } from './tree-tar.ts';

export interface ExportParts {
  readonly manifest: ExportManifest;
  /** The read-only tree of the disk. */
  readonly root: string;
  /** Where the files lie that the manifest's memory names. */
  readonly memoryDirectory: string;
  /** An empty directory for tar's jail. */
  readonly jail: string;
  readonly sign: (digests: Buffer) => ExportSignature;
}

/**
 * The bytes of the file, made as they are taken: memory stays bounded, and who takes slowly is waited for. Throws `data_loss` when something of the
 * snapshot is not as it was saved.
 */
export async function* exportSnapshot(
  parts: ExportParts,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const compressor = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const source = members(parts);
  const ended = pipeline(
    Readable.from(source, { objectMode: false }),
    compressor,
    signal === undefined ? {} : { signal },
  );
  // It is awaited below; until then a failure comes out of the compressor.
  ended.catch(() => undefined);
  try {
    for await (const chunk of compressor as AsyncIterable<Buffer>) yield chunk;
    await ended;
  } catch (error) {
    throw signal?.aborted === true ? Problem.from(signal.reason) : error;
  } finally {
    compressor.destroy();
    // Nothing that it started is left when this ends.
    await source.return();
  }
}

async function* members({
  manifest,
  root,
  memoryDirectory,
  jail,
  sign,
}: ExportParts): AsyncGenerator<Buffer, void, undefined> {
  const head = json(manifest);
  yield formatMember('manifest.json', head);
  const sections: ExportSection[] = [];
  for (const file of manifest.memory?.files ?? []) {
    const section = yield* cut(memorySection(file.name), fileContent(join(memoryDirectory, file.name)));
    if (section.sha256 !== file.sha256)
      throw new Problem('data_loss', `The saved memory is damaged: the content of "${file.name}" has changed`, {
        reason: 'memory_image_damaged',
        hint: 'Export it without its memory: its files are not affected.',
      });
    sections.push(section);
  }
  sections.push(yield* cut(diskSection, treeContent(root, jail)));
  const digests: ExportDigests = {
    formatVersion: 1,
    manifest: createHash('sha256').update(head).digest('hex'),
    sections,
  };
  const tail = json(digests);
  yield formatMember('digests.json', tail);
  yield formatMember('signature.json', json(sign(tail)));
  yield formatEnd();
}

/** Cuts a stream into numbered members, and tells what it was. */
async function* cut(name: string, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer, ExportSection, undefined> {
  const hash = createHash('sha256');
  let bytes = 0;
  let number = 0;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const member = (): Buffer => {
    const data = Buffer.concat(waiting);
    waiting = [];
    waitingBytes = 0;
    return formatMember(`${name}.${String(number++).padStart(8, '0')}`, data);
  };
  for await (const chunk of content) {
    hash.update(chunk);
    bytes += chunk.length;
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + mostMemberBytes - waitingBytes);
      waiting.push(part);
      waitingBytes += part.length;
      at += part.length;
      if (waitingBytes === mostMemberBytes) yield member();
    }
  }
  if (waitingBytes > 0) yield member();
  return { name, bytes, sha256: hash.digest('hex') };
}

async function* fileContent(path: string): AsyncGenerator<Buffer, void, undefined> {
  const handle = await open(path, 'r');
  try {
    for await (const chunk of handle.createReadStream({ highWaterMark: mostMemberBytes, autoClose: false }))
      yield chunk as Buffer;
  } finally {
    await handle.close();
  }
}

async function* treeContent(root: string, jail: string): AsyncGenerator<Buffer, void, undefined> {
  const { child, ended } = packTree(root, jail);
  try {
    child.stdin.end();
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk;
    const failure = await ended;
    if (failure !== undefined)
      throw new Problem('data_loss', 'The files of the snapshot cannot all be read', {
        reason: 'snapshot_damaged',
        hint: '"skerry snapshot verify" looks at all of it; the kernel\'s log names blocks that cannot be read.',
        context: { failure },
      });
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

function json(document: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(document)}\n`);
}
