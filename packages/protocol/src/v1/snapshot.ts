import { diskChanges, isolations, snapshotKinds, snapshotOrigins, snapshotStatuses } from '@skerry/model';
import { Type } from 'typebox';
import { idSchema, oneOf } from '../ids.ts';
import { ListQuery, SnapshotNameSchema } from './sandbox.ts';

const closed = { additionalProperties: false };

/** Body of `POST /v1/sandboxes/:id/snapshots`. */
export const CreateSnapshotBody = Type.Object(
  {
    name: Type.Optional(SnapshotNameSchema),
    kind: Type.Optional(
      oneOf(snapshotKinds, {
        description: '`memory` by default where the sandbox runs or is paused with memory, else `disk`.',
      }),
    ),
    expireAfterMs: Type.Optional(Type.Integer({ minimum: 1000, description: 'Deleted so long after it was made.' })),
    keepLast: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description: "Then deletes the sandbox's older snapshots without a name, but for so many.",
      }),
    ),
  },
  closed,
);
export type CreateSnapshotBody = Type.Static<typeof CreateSnapshotBody>;

export const SnapshotSchema = Type.Object(
  {
    id: idSchema('snapshot'),
    project: idSchema('project'),
    sandbox: idSchema('sandbox'),
    sandboxName: Type.String({ description: 'Name of the sandbox when it was made.' }),
    name: Type.Optional(Type.String()),
    kind: oneOf(snapshotKinds),
    origin: oneOf(snapshotOrigins),
    status: oneOf(snapshotStatuses),
    parent: Type.Optional(idSchema('snapshot')),
    template: Type.String(),
    cpus: Type.Number(),
    memoryMiB: Type.Integer(),
    diskMiB: Type.Integer(),
    engine: Type.Optional(Type.Object({ name: Type.String(), version: Type.String(), isolation: oneOf(isolations) })),
    memoryUnusable: Type.Optional(Type.String({ description: 'Why its memory cannot be brought back here.' })),
    diskBytes: Type.Integer({ description: 'What its files take beyond the template, shared with others or not.' }),
    exclusiveBytes: Type.Integer({ description: 'What deleting it would free.' }),
    memoryBytes: Type.Integer(),
    stallMs: Type.Optional(Type.Integer({ description: 'How long work in the sandbox stood still for it.' })),
    createdAt: Type.String({ format: 'date-time' }),
    expiresAt: Type.Optional(Type.String({ format: 'date-time' })),
  },
  { $id: 'Snapshot' },
);
export type Snapshot = Type.Static<typeof SnapshotSchema>;

export const SnapshotListSchema = Type.Object(
  { items: Type.Array(SnapshotSchema), next: Type.Optional(Type.String()) },
  { $id: 'SnapshotList' },
);
export type SnapshotList = Type.Static<typeof SnapshotListSchema>;

/** Query of `GET /v1/snapshots`. Those made by pauses, forks and exports are shown with `all`. */
export const ListSnapshotsQuery = Type.Object({
  ...ListQuery.properties,
  sandbox: Type.Optional(Type.String({ description: 'Id or name of the sandbox that they were made of.' })),
  name: Type.Optional(Type.String()),
  all: Type.Optional(Type.Boolean({ default: false })),
});

/** Query of `GET /v1/diff`: ids or names of sandboxes or snapshots; a name is looked for among sandboxes first. */
export const DiffQuery = Type.Object({
  from: Type.String({ maxLength: 64 }),
  to: Type.String({ maxLength: 64 }),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000, default: 10_000 })),
});
export const DiffSchema = Type.Object(
  {
    changes: Type.Array(
      Type.Object({
        change: oneOf(diskChanges),
        path: Type.String(),
        type: oneOf(['file', 'directory', 'symlink', 'other']),
        bytes: Type.Integer(),
      }),
    ),
    truncated: Type.Boolean(),
  },
  { $id: 'Diff' },
);
export type Diff = Type.Static<typeof DiffSchema>;
