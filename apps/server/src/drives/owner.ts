import type { OwnerBlob } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';

/** What is kept beside the disk, so that a lost database can be rebuilt. It holds no secret. Version 1. */
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
      resources: record.resources,
      isolation: record.isolation,
      onTimeout: record.onTimeout,
      timeoutAtMs: record.timeoutAtMs,
      createdAtMs: record.createdAtMs,
    },
  };
}
