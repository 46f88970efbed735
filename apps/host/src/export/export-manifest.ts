import { type OwnerBlob, Problem, resourceBounds, snapshotKinds } from '@skerry/model';
import { oneOf, OwnerBlobSchema } from '@skerry/protocol';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { type SnapshotMemory, SnapshotMemorySchema } from '../snapshots/snapshot-record.ts';
import { damaged } from './damaged.ts';

/** First part of an export, as `manifest.json`. Format 1; see docs/compatibility.md. */
export interface ExportManifest {
  readonly formatVersion: 1;
  readonly kind: 'disk' | 'memory';
  /** Ids where it was exported: for people; an import gets new ones. */
  readonly snapshotId: string;
  readonly sandboxId: string;
  /** `sizeBytes` is absent when the image was gone already. */
  readonly image: { readonly name: string; readonly key: string; readonly sizeBytes?: number };
  /** Limit of what may be written on top of the image, in `MiB`. */
  readonly sizeMiB: number;
  /** The instant that it holds. */
  readonly savedAtMs: number;
  readonly exportedAtMs: number;
  /** Only of kind `memory`. */
  readonly memory?: SnapshotMemory;
  readonly owner: OwnerBlob;
}

/** Last part but one, as `digests.json`: what the parts before it are. It is what the signature is of. */
export interface ExportDigests {
  readonly formatVersion: 1;
  /** SHA-256 of `manifest.json`, in hex. */
  readonly manifest: string;
  readonly sections: readonly ExportSection[];
}

/** A stream that was cut into parts of at most 1 MiB: `<name>.00000000`, `<name>.00000001`, and so on. */
export interface ExportSection {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of the stream, in hex. */
  readonly sha256: string;
}

/** Last part, as `signature.json`. */
export interface ExportSignature {
  readonly algorithm: 'ed25519';
  /** DER (SPKI) in base64. */
  readonly publicKey: string;
  /** Of the bytes of `digests.json`, in base64. */
  readonly signature: string;
}

/** Name of the section that is a tar of all files of the disk. */
export const diskSection = 'disk.tar';

/** Name of the section of a memory file. */
export function memorySection(file: string): string {
  return `memory/${file}`;
}

const digest = Type.String({ pattern: '^[0-9a-f]{64}$' });
const count = Type.Integer({ minimum: 0 });
const short = Type.String({ maxLength: 200 });
const version = Compile(Type.Object({ formatVersion: Type.Integer() }));
const manifest = Compile(
  Type.Object({
    formatVersion: Type.Literal(1),
    kind: oneOf(snapshotKinds),
    snapshotId: short,
    sandboxId: short,
    image: Type.Object({
      name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
      key: Type.String({ pattern: '^[a-z0-9]{1,64}$' }),
      sizeBytes: Type.Optional(count),
    }),
    sizeMiB: Type.Integer({ minimum: 1, maximum: resourceBounds.diskMiB.most }),
    savedAtMs: Type.Number(),
    exportedAtMs: Type.Number(),
    memory: Type.Optional(SnapshotMemorySchema),
    owner: OwnerBlobSchema,
  }),
);
const digests = Compile(
  Type.Object({
    formatVersion: Type.Literal(1),
    manifest: digest,
    sections: Type.Array(Type.Object({ name: short, bytes: count, sha256: digest }), { maxItems: 100 }),
  }),
);
const signature = Compile(
  Type.Object({
    algorithm: Type.Literal('ed25519'),
    publicKey: Type.String({ maxLength: 200 }),
    signature: Type.String({ maxLength: 200 }),
  }),
);

/** Reads a `manifest.json`. Throws `data_loss`, and `unsupported` for a later format. */
export function parseExportManifest(data: Buffer): ExportManifest {
  const document = parse(data, 'manifest.json');
  if (manifest.Check(document)) {
    // The schema's optional fields admit `undefined`, which JSON has not.
    const found = document as ExportManifest;
    if ((found.kind === 'memory') === (found.memory !== undefined)) return found;
  } else if (version.Check(document) && document.formatVersion > 1)
    throw new Problem('unsupported', `The file has format ${document.formatVersion}; this Skerry reads format 1`, {
      reason: 'export_format_unknown',
      hint: 'Import it with the version of Skerry that exported it, or a later one.',
    });
  throw damaged('its manifest is not readable');
}

/** Reads a `digests.json`. Throws `data_loss`. */
export function parseExportDigests(data: Buffer): ExportDigests {
  const document = parse(data, 'digests.json');
  if (digests.Check(document)) return document;
  throw damaged('its digests are not readable');
}

/** Reads a `signature.json`. Throws `data_loss`. */
export function parseExportSignature(data: Buffer): ExportSignature {
  const document = parse(data, 'signature.json');
  if (signature.Check(document)) return document;
  throw damaged('its signature is not readable');
}

function parse(data: Buffer, name: string): unknown {
  try {
    return JSON.parse(data.toString()) as unknown;
  } catch (cause) {
    throw damaged(`"${name}" is not JSON`, cause);
  }
}
