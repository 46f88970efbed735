import type { SnapshotReport } from '@skerry/model';
import type { Snapshot } from '@skerry/protocol';
import type { SnapshotRecord } from '@skerry/store';

const iso = (ms: number): string => new Date(ms).toISOString();

/** A snapshot as the API shows it; sizes are those of now when the backend told them. */
export function showSnapshot(record: SnapshotRecord, seen: SnapshotReport | undefined): Snapshot {
  const { engine, name, parentId, stallMs, expiresAtMs } = record;
  const memoryUnusable = seen === undefined ? record.memoryUnusable : (seen.memoryUnusable ?? null);
  return {
    id: record.id,
    project: record.projectId,
    sandbox: record.sandboxId,
    sandboxName: record.sandboxName,
    ...(name === null ? {} : { name }),
    kind: record.kind,
    origin: record.origin,
    status: record.status,
    ...(parentId === null ? {} : { parent: parentId }),
    template: record.spec.template,
    cpus: record.spec.resources.cpus,
    memoryMiB: record.spec.resources.memoryMiB,
    diskMiB: record.spec.resources.diskMiB,
    ...(engine === null ? {} : { engine: { name: engine.name, version: engine.version, isolation: engine.isolation } }),
    ...(memoryUnusable === null ? {} : { memoryUnusable }),
    diskBytes: seen?.diskBytes ?? record.diskBytes,
    exclusiveBytes: seen?.exclusiveBytes ?? record.exclusiveBytes,
    memoryBytes: seen?.memoryBytes ?? record.memoryBytes,
    ...(stallMs === null ? {} : { stallMs }),
    createdAt: iso(record.createdAtMs),
    ...(expiresAtMs === null ? {} : { expiresAt: iso(expiresAtMs) }),
  };
}
