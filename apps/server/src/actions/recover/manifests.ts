import {
  checkResources,
  defaultRest,
  type DiskReport,
  isolations,
  namePattern,
  type OwnerBlob,
  type ProjectId,
  restActions,
  type SandboxId,
  sandboxKinds,
  type SnapshotId,
  type SnapshotReport,
  snapshotOrigins,
  timeoutActions,
  wakeSources,
} from '@skerry/model';
import { bodyParser, idSchema, oneOf } from '@skerry/protocol';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';
import { Type } from 'typebox';

/*
 * Reads owner blobs of version 1. What was added to them later may be absent in an older one; what is there must be right, for it becomes intent.
 */
const Resources = Type.Object({ cpus: Type.Number(), memoryMiB: Type.Integer(), diskMiB: Type.Integer() });
const duration = Type.Union([Type.Integer({ minimum: 1000 }), Type.Null()]);
const time = Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]);
const snapshotOrNull = Type.Union([idSchema('snapshot'), Type.Null()]);
const user = Type.String({ pattern: '^[a-z_][a-z0-9_-]{0,31}$' });
const common = {
  id: idSchema('sandbox'),
  name: Type.String({ pattern: namePattern.source }),
  template: Type.String({ minLength: 1, maxLength: 128 }),
  image: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  user: Type.Optional(user),
  workdir: Type.Optional(Type.Union([Type.String({ maxLength: 4096 }), Type.Null()])),
  resources: Resources,
  isolation: oneOf([...isolations, 'any']),
};
const parseSandbox = bodyParser(
  Type.Object({
    ...common,
    kind: oneOf(sandboxKinds),
    labels: Type.Record(Type.String(), Type.String()),
    generation: Type.Optional(Type.Integer({ minimum: 1 })),
    onTimeout: oneOf(timeoutActions),
    timeoutAtMs: time,
    rest: Type.Optional(
      Type.Object({
        afterMs: duration,
        action: oneOf(restActions),
        wakeOn: oneOf(wakeSources),
        expireAfterMs: duration,
      }),
    ),
    sourceSnapshotId: Type.Optional(snapshotOrNull),
    parentSnapshotId: Type.Optional(snapshotOrNull),
    createdAtMs: Type.Integer({ minimum: 0 }),
  }),
);
const parseSnapshot = bodyParser(
  Type.Object({
    ...common,
    snapshot: Type.Object({
      id: idSchema('snapshot'),
      name: Type.Union([Type.String({ pattern: namePattern.source }), Type.Null()]),
      origin: oneOf(snapshotOrigins),
      parentId: snapshotOrNull,
      createdAtMs: Type.Integer({ minimum: 0 }),
      expiresAtMs: time,
    }),
  }),
);

/** What the image of a template says of those who work in it, for blobs that do not. */
export interface ImageFacts {
  readonly user: string;
  readonly workdir: string | null;
}

/** The record of the sandbox that a disk belongs to, as if it had just been stopped. Throws `invalid` for a blob that cannot be read. */
export function sandboxOfDisk(disk: DiskReport, imageOf: (name: string) => ImageFacts): Omit<SandboxRecord, 'version'> {
  const blob = parseSandbox(disk.owner.sandbox);
  const image = blob.image ?? disk.image;
  return {
    id: blob.id as SandboxId,
    projectId: projectOf(disk.owner),
    name: blob.name,
    kind: blob.kind,
    desired: 'stopped',
    desiredReason: 'recovered',
    observed: 'ready',
    generation: blob.generation ?? 1,
    resources: checkResources(blob.resources),
    env: {},
    labels: blob.labels,
    template: blob.template,
    image,
    user: blob.user ?? imageOf(image).user,
    workdir: blob.workdir === undefined ? imageOf(image).workdir : blob.workdir,
    isolation: blob.isolation,
    diskId: disk.diskId,
    bootId: null,
    everRan: true,
    failure: null,
    lastExit: null,
    engine: null,
    graceMs: 5000,
    ownerStale: false,
    timeoutAtMs: blob.timeoutAtMs,
    onTimeout: blob.onTimeout,
    sourceSnapshotId: (blob.sourceSnapshotId ?? null) as SnapshotId | null,
    pointId: null,
    restoreAs: 'resume',
    savingId: null,
    pauseMemory: true,
    oldPointId: null,
    rollbackTo: null,
    rollbackMemory: false,
    dropDiskId: null,
    parentSnapshotId: (blob.parentSnapshotId ?? null) as SnapshotId | null,
    resume: null,
    pausedAtMs: null,
    // What was made before sandboxes rested by themselves goes on as it was promised: it does not.
    rest: blob.rest ?? { ...defaultRest[blob.kind], afterMs: null },
    frozen: false,
    lastUsedAtMs: blob.createdAtMs,
    startedAtMs: null,
    createdAtMs: blob.createdAtMs,
    deletedAtMs: null,
  };
}

/** The record of a snapshot. Throws `invalid` for a blob that cannot be read. */
export function snapshotOf(report: SnapshotReport, imageOf: (name: string) => ImageFacts): SnapshotRecord {
  const blob = parseSnapshot(report.owner.sandbox);
  const { snapshot } = blob;
  const image = blob.image ?? report.image;
  return {
    id: report.snapshotId,
    projectId: projectOf(report.owner),
    sandboxId: blob.id as SandboxId,
    sandboxName: blob.name,
    name: snapshot.name,
    kind: report.kind,
    origin: snapshot.origin,
    status: 'ready',
    parentId: snapshot.parentId as SnapshotId | null,
    spec: {
      image,
      template: blob.template,
      resources: checkResources(blob.resources),
      env: {},
      user: blob.user ?? imageOf(image).user,
      workdir: blob.workdir === undefined ? imageOf(image).workdir : blob.workdir,
      isolation: blob.isolation,
    },
    engine: report.engine ?? null,
    guestDigest: report.guestDigest ?? null,
    memoryUnusable: report.memoryUnusable ?? null,
    diskBytes: report.diskBytes,
    exclusiveBytes: report.exclusiveBytes,
    memoryBytes: report.memoryBytes,
    stallMs: report.stallMs ?? null,
    ownerStale: false,
    keepLast: null,
    createdAtMs: snapshot.createdAtMs,
    expiresAtMs: snapshot.expiresAtMs,
    version: 1,
  };
}

const parseProject = bodyParser(idSchema('project'));

function projectOf(owner: OwnerBlob): ProjectId {
  return parseProject(owner.project) as ProjectId;
}
