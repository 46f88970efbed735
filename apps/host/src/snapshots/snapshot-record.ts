import type { EngineMemoryFormat } from '@skerry/engine';
import {
  type EngineIdentity,
  isolations,
  type OwnerBlob,
  Problem,
  type SandboxId,
  type SnapshotId,
  type SnapshotKind,
  type SnapshotOrigin,
  snapshotKinds,
  snapshotOrigins,
} from '@skerry/model';
import { idSchema, oneOf, OwnerBlobSchema } from '@skerry/protocol';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** One file of a memory image. */
export interface MemoryFile {
  /** Name in the memory directory; no path. */
  readonly name: string;
  readonly bytes: number;
  /** SHA-256, in hex, of its first 64 KiB: looked at before every restore. */
  readonly headSha256: string;
  /** SHA-256 of all of it, in hex: looked at by verify, export and import. */
  readonly sha256: string;
}

/** The memory of a snapshot: what it is, and what it takes to bring it back. */
export interface SnapshotMemory {
  readonly format: EngineMemoryFormat;
  readonly engine: EngineIdentity;
  /** The guest binary that it was taken with, and that every restore needs. */
  readonly guestDigest: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly files: readonly MemoryFile[];
}

/** What is kept beside a snapshot, as `snapshot.json`: a snapshot exists when this does. Format 1; see docs/compatibility.md. */
export interface SnapshotRecord {
  readonly formatVersion: 1;
  readonly snapshotId: SnapshotId;
  readonly sandboxId: SandboxId;
  readonly kind: SnapshotKind;
  readonly origin: SnapshotOrigin;
  readonly image: string;
  readonly imageKey: string;
  /** Limit of a disk made from it, in `MiB`: what may be written on top of the image. */
  readonly sizeMiB: number;
  /** How much of that limit its files take already. */
  readonly inheritedBytes: number;
  readonly createdAtMs: number;
  /** The instant that it holds: earlier than `createdAtMs` when it was made from another snapshot. */
  readonly savedAtMs: number;
  /** How long work in the boot stood still, in `ms`. */
  readonly stallMs?: number;
  /** Only of kind `memory`. */
  readonly memory?: SnapshotMemory;
  readonly owner: OwnerBlob;
}

const text = Type.String();
const digest = Type.String({ pattern: '^[0-9a-f]{64}$' });
const count = Type.Integer({ minimum: 0 });
/** Shape of `SnapshotMemory`. */
export const SnapshotMemorySchema = Type.Object({
  format: Type.Object({ engine: text, build: text, specVersion: Type.Number(), cpuFeatures: Type.Array(text) }),
  engine: Type.Object({ name: text, version: text, build: text, isolation: oneOf(isolations) }),
  guestDigest: text,
  cpus: Type.Number(),
  memoryMiB: Type.Number(),
  files: Type.Array(
    Type.Object({
      name: Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$' }),
      bytes: count,
      headSha256: digest,
      sha256: digest,
    }),
  ),
});
const schema = Compile(
  Type.Object({
    formatVersion: Type.Literal(1),
    snapshotId: idSchema('snapshot'),
    sandboxId: idSchema('sandbox'),
    kind: oneOf(snapshotKinds),
    origin: oneOf(snapshotOrigins),
    image: text,
    imageKey: text,
    sizeMiB: Type.Integer({ minimum: 1 }),
    inheritedBytes: count,
    createdAtMs: Type.Number(),
    savedAtMs: Type.Number(),
    stallMs: Type.Optional(Type.Number()),
    memory: Type.Optional(SnapshotMemorySchema),
    owner: OwnerBlobSchema,
  }),
);

export function formatSnapshotRecord(record: SnapshotRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Reads a `snapshot.json`. Throws `data_loss` when it is none, or of a later format. */
export function parseSnapshotRecord(content: string): SnapshotRecord {
  let document: unknown;
  try {
    document = JSON.parse(content);
  } catch {
    // Judged with everything else that has not the shape.
  }
  // The schema's optional fields admit `undefined`, which JSON has not.
  if (schema.Check(document)) {
    const record = document as SnapshotRecord;
    if ((record.kind === 'memory') === (record.memory !== undefined)) return record;
  }
  throw new Problem('data_loss', 'A snapshot record is not readable', { reason: 'snapshot_record_unreadable' });
}
