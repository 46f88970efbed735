/**
 * The host daemon's API: JSON over HTTP on its Unix socket, for the server alone. Every verb is idempotent and keyed by the ids in its path;
 * none takes a path, a command or a piece of configuration. Version in the path; see docs/compatibility.md.
 */
import {
  type BootActivity,
  type BootReport,
  type DiskReport,
  type GarbageItem,
  isolations,
  type OwnerBlob,
  snapshotOrigins,
  type SnapshotReport,
} from '@skerry/model';
import { Type } from 'typebox';
import { idSchema, oneOf } from './ids.ts';

export const hostApiVersion = 1;

/** Paths of the host's API; `:bootId`, `:diskId` and `:snapshotId` stand for ids. */
export const hostPaths = {
  describe: 'GET /v1/host',
  putDisk: 'PUT /v1/disks/:diskId',
  putDiskOwner: 'PUT /v1/disks/:diskId/owner',
  deleteDisk: 'DELETE /v1/disks/:diskId',
  listDisks: 'GET /v1/disks',
  diskLog: 'GET /v1/disks/:diskId/log',
  putBoot: 'PUT /v1/boots/:bootId',
  stopBoot: 'POST /v1/boots/:bootId/stop',
  deleteBoot: 'DELETE /v1/boots/:bootId',
  getBoot: 'GET /v1/boots/:bootId',
  listBoots: 'GET /v1/boots',
  freezeBoot: 'POST /v1/boots/:bootId/freeze',
  thawBoot: 'POST /v1/boots/:bootId/thaw',
  sampleActivity: 'GET /v1/activity',
  putSnapshot: 'PUT /v1/snapshots/:snapshotId',
  getSnapshot: 'GET /v1/snapshots/:snapshotId',
  listSnapshots: 'GET /v1/snapshots',
  putSnapshotOwner: 'PUT /v1/snapshots/:snapshotId/owner',
  deleteSnapshot: 'DELETE /v1/snapshots/:snapshotId',
  verifySnapshot: 'POST /v1/snapshots/:snapshotId/verify',
  diff: 'POST /v1/diff',
  /** `?memory=true`; answers the bytes of the file. */
  exportSnapshot: 'GET /v1/snapshots/:snapshotId/export',
  /** The body is the file; `?sandboxId=` and, in base64url of its JSON, `?owner=`. Answers `HostImport`. */
  importSnapshot: 'PUT /v1/snapshots/:snapshotId/import',
  /** NDJSON of `BackendEvent`s: every boot, then `synced`, then changes; an empty line every 15 s keeps it alive. */
  watch: 'GET /v1/watch',
  listGarbage: 'GET /v1/garbage',
  collectGarbage: 'POST /v1/garbage/collect',
} as const;

export const OwnerBlobSchema = Type.Object({
  version: Type.Literal(1),
  project: Type.String({ maxLength: 64 }),
  sandbox: Type.Record(Type.String(), Type.Unknown()),
});

/** Body of `PUT /v1/disks/:diskId`; answers `DiskReport`. */
export const PutDiskBody = Type.Object(
  {
    sandboxId: idSchema('sandbox'),
    image: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
    sizeMiB: Type.Integer({ minimum: 1 }),
    durable: Type.Boolean(),
    owner: OwnerBlobSchema,
    snapshotId: Type.Optional(idSchema('snapshot')),
  },
  { additionalProperties: false },
);

/** Body of `PUT /v1/disks/:diskId/owner`; answers `{}`. */
export const PutDiskOwnerBody = Type.Object({ owner: OwnerBlobSchema }, { additionalProperties: false });

/** Body of `PUT /v1/boots/:bootId`; answers `BootReport` when the guest answers or the start has failed. */
export const PutBootBody = Type.Object(
  {
    sandboxId: idSchema('sandbox'),
    diskId: idSchema('disk'),
    hostname: Type.String({ pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$' }),
    cpus: Type.Number({ minimum: 0.05, maximum: 1024 }),
    memoryMiB: Type.Integer({ minimum: 64 }),
    isolation: oneOf([...isolations, 'any']),
    generation: Type.Integer({ minimum: 0 }),
    accessToken: Type.String({ minLength: 16, maxLength: 256, pattern: '^[A-Za-z0-9_-]+$' }),
    env: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }), Type.String({ maxLength: 131072 }), {
      additionalProperties: false,
    }),
    user: Type.String({ pattern: '^[a-z_][a-z0-9_-]{0,31}$' }),
    workdir: Type.Optional(Type.String({ maxLength: 4096 })),
    restoreFrom: Type.Optional(idSchema('snapshot')),
    restoreAs: Type.Optional(oneOf(['resume', 'fork'])),
  },
  { additionalProperties: false },
);

/** Body of `PUT /v1/snapshots/:snapshotId`; answers `SnapshotReport` when it is durable. */
export const PutSnapshotBody = Type.Object(
  {
    sandboxId: idSchema('sandbox'),
    source: Type.Union([
      Type.Object(
        { type: Type.Literal('boot'), bootId: idSchema('boot'), memory: Type.Boolean(), end: Type.Boolean() },
        { additionalProperties: false },
      ),
      Type.Object({ type: Type.Literal('disk'), diskId: idSchema('disk') }, { additionalProperties: false }),
      Type.Object(
        { type: Type.Literal('snapshot'), snapshotId: idSchema('snapshot') },
        { additionalProperties: false },
      ),
    ]),
    origin: oneOf(snapshotOrigins),
    owner: OwnerBlobSchema,
  },
  { additionalProperties: false },
);

const DiskStateSchema = Type.Union([
  Type.Object({ diskId: idSchema('disk') }, { additionalProperties: false }),
  Type.Object({ snapshotId: idSchema('snapshot') }, { additionalProperties: false }),
]);
/** Body of `POST /v1/diff`; answers `DiskDiff`. */
export const DiffBody = Type.Object(
  { before: DiskStateSchema, after: DiskStateSchema, limit: Type.Integer({ minimum: 1, maximum: 100_000 }) },
  { additionalProperties: false },
);

/** Body of `POST /v1/boots/:bootId/stop`; answers `BootReport`. */
export const StopBootBody = Type.Object(
  { graceMs: Type.Integer({ minimum: 0, maximum: 600_000 }) },
  { additionalProperties: false },
);

/** Body of `POST /v1/garbage/collect`; answers `{ items: GarbageItem[] }` with what was removed. */
export const CollectGarbageBody = Type.Object(
  { minAgeMs: Type.Integer({ minimum: 0 }) },
  { additionalProperties: false },
);

/** Answer of `PUT /v1/snapshots/:snapshotId/import`. */
export interface HostImport {
  readonly snapshot: SnapshotReport;
  readonly exported: OwnerBlob;
  readonly lost: readonly string[];
}

/** Answers of the lists. */
export interface HostSnapshotList {
  readonly items: readonly SnapshotReport[];
}
export interface HostActivity {
  readonly items: readonly BootActivity[];
}
export interface HostDiskList {
  readonly items: readonly DiskReport[];
}
export interface HostBootList {
  readonly items: readonly BootReport[];
}
export interface HostGarbageList {
  readonly items: readonly GarbageItem[];
}
/** Answer of `GET /v1/disks/:diskId/log?maxBytes=`. */
export interface HostDiskLog {
  readonly text: string;
}
