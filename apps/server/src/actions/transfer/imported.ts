import { checkResources, isolations, newId, type OwnerBlob, type ProjectId, type SandboxId } from '@skerry/model';
import { namePattern } from '@skerry/model';
import { bodyParser, oneOf } from '@skerry/protocol';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';
import { Type } from 'typebox';
import type { BackendDescription } from '@skerry/backend';
import { imageOf } from '../sandbox/admission.ts';
import { restPolicyOf, type RestSettings } from '../../rest/policy.ts';

/** What a file says of the sandbox that was exported. It was written elsewhere: every field is judged, and what is missing has a default. */
const parse = bodyParser(
  Type.Object({
    name: Type.Optional(Type.String({ pattern: namePattern.source })),
    template: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    user: Type.Optional(Type.String({ pattern: '^[a-z_][a-z0-9_-]{0,31}$' })),
    workdir: Type.Optional(Type.Union([Type.String({ maxLength: 4096, pattern: '^/' }), Type.Null()])),
    resources: Type.Optional(Type.Object({ cpus: Type.Number(), memoryMiB: Type.Integer(), diskMiB: Type.Integer() })),
    isolation: Type.Optional(oneOf([...isolations, 'any'])),
  }),
);

/** What the sandbox is made with, and the name it had. */
export function specOf(
  exported: OwnerBlob,
  image: string,
  description: BackendDescription,
): { readonly spec: SnapshotRecord['spec']; readonly name: string | undefined } {
  const blob = parse(exported.sandbox);
  const known = imageOf(description, image);
  return {
    name: blob.name,
    spec: {
      image: known.name,
      template: description.images.some(({ name }) => name === blob.template) ? (blob.template ?? image) : image,
      resources: checkResources(blob.resources ?? {}),
      env: {},
      user: blob.user ?? known.user,
      workdir: blob.workdir === undefined ? (known.workdir === '' ? null : known.workdir) : blob.workdir,
      isolation: blob.isolation ?? 'any',
    },
  };
}

/** The row of a snapshot that is being read in. */
export function snapshotBeingImported(
  id: SnapshotRecord['id'],
  projectId: ProjectId,
  sandboxId: SandboxId,
  sandboxName: string,
  nowMs: number,
): SnapshotRecord {
  return {
    id,
    projectId,
    sandboxId,
    sandboxName,
    name: null,
    kind: 'disk',
    origin: 'import',
    status: 'creating',
    parentId: null,
    spec: {
      image: '',
      template: '',
      resources: checkResources({}),
      env: {},
      user: 'root',
      workdir: null,
      isolation: 'any',
    },
    engine: null,
    guestDigest: null,
    memoryUnusable: null,
    diskBytes: 0,
    exclusiveBytes: 0,
    memoryBytes: 0,
    stallMs: null,
    ownerStale: false,
    keepLast: null,
    createdAtMs: nowMs,
    expiresAtMs: null,
    version: 1,
  };
}

interface Wanted {
  readonly settings: RestSettings;
  readonly name: string;
  readonly start: boolean;
  /** What was left out of the file, in words. */
  readonly lost: readonly string[];
  readonly nowMs: number;
}

/** The sandbox that goes on from an imported snapshot. It has ended where it came from: it is another one here, with its own identity. */
export function sandboxFrom(snapshot: SnapshotRecord, { settings, name, start, lost, nowMs }: Wanted): SandboxRecord {
  const { projectId, spec } = snapshot;
  const memory = snapshot.kind === 'memory' && snapshot.memoryUnusable === null;
  const why = [...lost, ...(snapshot.memoryUnusable === null ? [] : [snapshot.memoryUnusable])];
  return {
    ...spec,
    id: snapshot.sandboxId,
    projectId,
    name,
    kind: 'persistent',
    desired: start ? 'running' : memory ? 'paused' : 'stopped',
    desiredReason: 'imported',
    observed: 'absent',
    generation: 1,
    labels: {},
    diskId: newId('disk'),
    bootId: null,
    // One that is not started is as one that has run and rests.
    everRan: !start,
    failure: null,
    lastExit: null,
    engine: snapshot.engine,
    graceMs: 5000,
    ownerStale: false,
    timeoutAtMs: null,
    onTimeout: 'stop',
    sourceSnapshotId: snapshot.id,
    pointId: memory ? snapshot.id : null,
    restoreAs: 'fork',
    savingId: null,
    pauseMemory: true,
    oldPointId: null,
    rollbackTo: null,
    rollbackMemory: false,
    dropDiskId: null,
    parentSnapshotId: null,
    resume: why.length === 0 ? null : { from: 'disk', lost: 'processes', why: why.join('; '), atMs: nowMs },
    pausedAtMs: !start && memory ? nowMs : null,
    rest: restPolicyOf(settings, { kind: 'persistent', projectId, template: spec.template }, undefined),
    frozen: false,
    lastUsedAtMs: nowMs,
    startedAtMs: null,
    createdAtMs: nowMs,
    deletedAtMs: null,
    version: 1,
  };
}
