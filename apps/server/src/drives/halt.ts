import { type BootExit, type BootReport, type DesiredState, type ExitReason, Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { type Amendment, amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';

/** booting, running or saving → halting: what runs is no longer wanted. */
export async function beginHalt(core: Core, record: SandboxRecord): Promise<boolean> {
  await amend(core, record.id, (current) =>
    current.observed === 'booting' || current.observed === 'running' || current.observed === 'saving'
      ? { patch: { observed: 'halting', startedAtMs: null, frozen: false } }
      : undefined,
  );
  faultPoint('stop.halting');
  return true;
}

/** Records how a boot ended, and that it is to be cleaned away. */
export async function recordEnd(
  core: Core,
  record: SandboxRecord,
  report: Pick<BootReport, 'exit' | 'usage'> | undefined,
  otherwise: ExitReason,
): Promise<void> {
  const exit: BootExit = report?.exit ?? {
    reason: otherwise,
    detail: 'The host kept no record of its end',
    atMs: Date.now(),
  };
  await amend(core, record.id, async (current, nouns) => {
    if (current.bootId === null || current.bootId !== record.bootId) return undefined;
    await nouns.boots.end(current.bootId, exit, report?.usage);
    return {
      patch: { observed: 'halting', lastExit: exit, startedAtMs: null, frozen: false },
      ...(exit.reason === 'stopped' || exit.reason === 'paused'
        ? {}
        : {
            event: {
              type: 'sandbox.boot_ended',
              reason: exit.reason,
              message: exit.detail,
              data: { bootId: current.bootId },
            },
          }),
    };
  });
}

/** halting → ready: ends the boot, records how it ended, removes it. */
export async function halt(
  core: Core,
  record: SandboxRecord,
  target: DesiredState,
  signal: AbortSignal,
): Promise<boolean> {
  const { bootId } = record;
  if (bootId !== null) {
    const recorded = await core.store.boots.get(bootId);
    if (recorded?.exit === null || recorded === undefined) {
      const graceMs = target === 'deleted' ? 0 : record.graceMs;
      const report = await core.backend.stopBoot(bootId, graceMs, signal).catch(absentBoot);
      faultPoint('stop.boot-ended');
      await recordEnd(core, record, report, 'stopped');
      faultPoint('stop.exit-recorded');
    }
    await core.backend.deleteBoot(bootId, signal);
    faultPoint('stop.boot-deleted');
  }
  await amend(core, record.id, (current) => {
    if (current.observed !== 'halting' || current.bootId !== bootId) return undefined;
    return {
      patch: { observed: 'ready', bootId: null, ...(isPaused(current) ? { pausedAtMs: Date.now() } : {}) },
      ...restEvent(current),
    };
  });
  faultPoint('stop.recorded');
  return true;
}

/** Whether a sandbox whose boot has ended rests so that it comes back as paused: Skerry itself pauses what is to run again. */
function isPaused({ desired, pointId, lastExit }: SandboxRecord): boolean {
  return desired === 'paused' || (desired === 'running' && pointId !== null && lastExit?.reason === 'paused');
}

function restEvent(current: SandboxRecord): Pick<Amendment, 'event'> {
  const { name, desiredReason: reason, pointId } = current;
  if (current.desired === 'stopped')
    return { event: { type: 'sandbox.stopped', reason, message: `Sandbox "${name}" was stopped` } };
  if (!isPaused(current)) return {};
  const saved = pointId === null ? 'without its memory' : 'with its memory';
  const data = pointId === null ? {} : { snapshotId: pointId };
  return { event: { type: 'sandbox.paused', reason, message: `Sandbox "${name}" was paused ${saved}`, data } };
}

/** A boot that the host does not have has ended already. */
export function absentBoot(error: unknown): undefined {
  if (error instanceof Problem && error.code === 'not_found') return undefined;
  throw error;
}
