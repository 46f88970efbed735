import type { SnapshotId, SnapshotKind, SnapshotOrigin } from '@skerry/model';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';

interface Wanted {
  readonly id: SnapshotId;
  readonly kind: SnapshotKind;
  readonly origin: SnapshotOrigin;
  readonly name?: string;
  readonly keepLast?: number;
  readonly expiresAtMs?: number;
}

/** The record of a snapshot of a sandbox that is to be made. */
export function newSnapshotRecord(sandbox: SandboxRecord, wanted: Wanted): SnapshotRecord {
  const { image, template, resources, env, user, workdir, isolation } = sandbox;
  return {
    id: wanted.id,
    projectId: sandbox.projectId,
    sandboxId: sandbox.id,
    sandboxName: sandbox.name,
    name: wanted.name ?? null,
    kind: wanted.kind,
    origin: wanted.origin,
    status: 'creating',
    parentId: sandbox.parentSnapshotId,
    spec: { image, template, resources, env, user, workdir, isolation },
    engine: null,
    guestDigest: null,
    memoryUnusable: null,
    diskBytes: 0,
    exclusiveBytes: 0,
    memoryBytes: 0,
    stallMs: null,
    ownerStale: false,
    keepLast: wanted.keepLast ?? null,
    createdAtMs: Date.now(),
    expiresAtMs: wanted.expiresAtMs ?? null,
    version: 1,
  };
}
