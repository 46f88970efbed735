import type { OwnerBlob } from '@skerry/model';
import type { SandboxRecord, SnapshotRecord } from '@skerry/store';

/**
 * What is kept beside the disk, so that a lost database can be rebuilt. It holds no secret: the environment is not in it. Version 1; what was
 * added later may be absent in an older blob.
 */
export function ownerOf(record: SandboxRecord): OwnerBlob {
  return {
    version: 1,
    project: record.projectId,
    sandbox: {
      id: record.id,
      name: record.name,
      kind: record.kind,
      labels: record.labels,
      template: record.template,
      image: record.image,
      user: record.user,
      workdir: record.workdir,
      resources: record.resources,
      isolation: record.isolation,
      generation: record.generation,
      onTimeout: record.onTimeout,
      timeoutAtMs: record.timeoutAtMs,
      rest: record.rest,
      sourceSnapshotId: record.sourceSnapshotId,
      parentSnapshotId: record.parentSnapshotId,
      createdAtMs: record.createdAtMs,
    },
  };
}

/** What is kept beside a snapshot: the sandbox that was saved, as far as the snapshot knows it, and what the snapshot is. */
export function ownerOfSnapshot(snapshot: SnapshotRecord): OwnerBlob {
  const { template, image, user, workdir, resources, isolation } = snapshot.spec;
  return {
    version: 1,
    project: snapshot.projectId,
    sandbox: {
      id: snapshot.sandboxId,
      name: snapshot.sandboxName,
      template,
      image,
      user,
      workdir,
      resources,
      isolation,
      snapshot: {
        id: snapshot.id,
        name: snapshot.name,
        kind: snapshot.kind,
        origin: snapshot.origin,
        parentId: snapshot.parentId,
        createdAtMs: snapshot.createdAtMs,
        expiresAtMs: snapshot.expiresAtMs,
      },
    },
  };
}
