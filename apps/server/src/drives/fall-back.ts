import type { BootExit, BootReport } from '@skerry/model';
import type { SandboxRecord, StoreNouns } from '@skerry/store';
import { type Amendment, amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { isOwnPoint } from './points.ts';

/** booting → halting: the memory could not be brought back. The next boot is from the disk, and the sandbox says so; nothing is deleted. */
export async function fallBack(
  core: Core,
  record: SandboxRecord,
  report: Pick<BootReport, 'exit' | 'usage'> | undefined,
  why: string,
): Promise<void> {
  const exit: BootExit = report?.exit ?? { reason: 'restore_failed', detail: why, atMs: Date.now() };
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'booting' || current.bootId === null || current.bootId !== record.bootId) return undefined;
    await nouns.boots.end(current.bootId, exit, report?.usage);
    const lost = await withoutMemory(nouns, current, why);
    return { ...lost, patch: { ...lost.patch, observed: 'halting', lastExit: exit, startedAtMs: null } };
  });
  faultPoint('resume.fell-back');
}

/** The same of a sandbox whose boot has ended already. */
export async function forgoMemory(core: Core, record: SandboxRecord, why: string): Promise<void> {
  await amend(core, record.id, async (current, nouns) =>
    current.pointId === null || current.pointId !== record.pointId ? undefined : withoutMemory(nouns, current, why),
  );
  faultPoint('resume.fell-back');
}

async function withoutMemory(nouns: StoreNouns, current: SandboxRecord, why: string): Promise<Amendment> {
  const { pointId } = current;
  const point = pointId === null ? undefined : await nouns.snapshots.find(pointId);
  return {
    patch: {
      pointId: null,
      restoreAs: 'resume',
      resume: { from: 'disk', lost: 'processes', why, atMs: Date.now() },
      ...(isOwnPoint(point, current.id) ? { oldPointId: pointId } : {}),
    },
    event: {
      type: 'sandbox.resume_fell_back',
      reason: 'restore_failed',
      message: `The memory of sandbox "${current.name}" could not be brought back, and it boots from its disk: ${why}`,
      ...(pointId === null ? {} : { data: { snapshotId: pointId } }),
    },
  };
}
