import type { Sandbox } from '@skerry/protocol';
import { type SandboxRecord, statusOf } from '@skerry/store';
import type { Core } from '../../core.ts';

const iso = (ms: number): string => new Date(ms).toISOString();

/** A sandbox as the API shows it. `withToken`: to somebody who may use it. */
export function showSandbox(core: Core, record: SandboxRecord, withToken: boolean): Sandbox {
  const { failure, lastExit, engine, resume } = record;
  return {
    id: record.id,
    project: record.projectId,
    name: record.name,
    kind: record.kind,
    ...statusOf(record),
    template: record.template,
    ...record.resources,
    env: { ...record.env },
    labels: { ...record.labels },
    ...(engine === null ? {} : { engine: { name: engine.name, version: engine.version, isolation: engine.isolation } }),
    ...(failure === null
      ? {}
      : {
          failure: {
            reason: failure.reason,
            message: failure.message,
            remains: [...failure.remains],
            hint: failure.hint,
          },
        }),
    ...(lastExit === null
      ? {}
      : {
          lastExit: {
            reason: lastExit.reason,
            ...(lastExit.status === undefined ? {} : { status: lastExit.status }),
            detail: lastExit.detail,
            at: iso(lastExit.atMs),
          },
        }),
    createdAt: iso(record.createdAtMs),
    ...(record.startedAtMs === null ? {} : { startedAt: iso(record.startedAtMs) }),
    ...(record.timeoutAtMs === null ? {} : { timeoutAt: iso(record.timeoutAtMs) }),
    onTimeout: record.onTimeout,
    rest: { ...record.rest },
    ...(record.pausedAtMs === null ? {} : { pausedAt: iso(record.pausedAtMs) }),
    ...(resume === null
      ? {}
      : {
          resume: {
            from: resume.from,
            ...(resume.lost === undefined ? {} : { lost: resume.lost }),
            ...(resume.why === undefined ? {} : { why: resume.why }),
            at: iso(resume.atMs),
          },
        }),
    ...(record.sourceSnapshotId === null ? {} : { source: { snapshot: record.sourceSnapshotId } }),
    ...(record.deletedAtMs === null ? {} : { deletedAt: iso(record.deletedAtMs) }),
    ...(withToken && record.observed !== 'gone'
      ? { accessToken: core.secrets.accessToken(record.id, record.generation) }
      : {}),
  };
}
