import type { DiskId, OwnerBlob, SandboxId, SnapshotId } from '@skerry/model';
import { Problem } from '@skerry/model';
import { idSchema, OwnerBlobSchema } from '@skerry/protocol';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** The saved memory that a disk's files still go with. */
export interface DiskPoint {
  readonly snapshotId: SnapshotId;
  /** Whether a boot went on from it that was never reported as running: its files are to be taken from the snapshot again. */
  readonly begun: boolean;
}

/** What is kept beside a disk, as `disk.json`: a disk exists when this does. Format 1; see docs/compatibility.md. */
export interface DiskRecord {
  readonly formatVersion: 1;
  readonly diskId: DiskId;
  readonly sandboxId: SandboxId;
  readonly image: string;
  readonly imageKey: string;
  /** What may be written on top of the image, in `MiB`. */
  readonly sizeMiB: number;
  /** Whether it was promised to survive power loss. */
  readonly durable: boolean;
  readonly createdAtMs: number;
  readonly owner: OwnerBlob;
  /** The snapshot that its files were made from; the bare image without one. */
  readonly snapshotId?: SnapshotId;
  /** How much of `sizeMiB` those files took already; none without a snapshot. */
  readonly inheritedBytes?: number;
  /** Absent once anything may have been written that the snapshot does not have. */
  readonly point?: DiskPoint;
}

const schema = Compile(
  Type.Object({
    formatVersion: Type.Literal(1),
    diskId: idSchema('disk'),
    sandboxId: idSchema('sandbox'),
    image: Type.String(),
    imageKey: Type.String(),
    sizeMiB: Type.Integer({ minimum: 1 }),
    durable: Type.Boolean(),
    createdAtMs: Type.Number(),
    owner: OwnerBlobSchema,
    snapshotId: Type.Optional(idSchema('snapshot')),
    inheritedBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    point: Type.Optional(Type.Object({ snapshotId: idSchema('snapshot'), begun: Type.Boolean() })),
  }),
);

export function formatDiskRecord(record: DiskRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Reads a `disk.json`. Throws `data_loss` when it is none, or of a later format. */
export function parseDiskRecord(text: string): DiskRecord {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // Judged with everything else that has not the shape.
  }
  // The schema's optional fields admit `undefined`, which JSON has not.
  if (schema.Check(document)) return document as DiskRecord;
  throw new Problem('data_loss', 'A disk record is not readable', {
    reason: 'disk_record_unreadable',
    context: { text: text.slice(0, 200) },
  });
}
