import { type BootReport, Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { type Amendment, amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { absentBoot, recordEnd } from './halt.ts';
import { unwantPause } from './saving.ts';

/** A persistent sandbox is booted again at most so often within the window; then it is stopped with reason `crash_loop`. */
const mostRestarts = 3;
const windowMs = 10 * 60_000;

/** Boots that ended by themselves within the window and since somebody last asked for a start; `ran`: those alone that had been running. */
export function unexpectedEnds(core: Core, record: SandboxRecord, { ran }: { ran: boolean }): Promise<number> {
  const sinceMs = Math.max(Date.now() - windowMs, record.lastUsedAtMs - 1);
  // A restore that failed is followed by a boot from the disk: it says nothing of the sandbox.
  const asked = ['stopped', 'paused', 'restore_failed'] as const;
  return core.store.boots.countEnds(record.id, sinceMs, ran ? [...asked, 'start_failed'] : asked);
}

/** Looks whether the boot of a running sandbox still runs. `true` when it has ended and that was recorded. */
export async function checkBoot(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  const { bootId } = record;
  if (bootId === null) return false;
  const seen = core.boots.see(bootId);
  if (seen === 'unknown') return false;
  // The watch may be behind a call that has just answered: absence is confirmed before it is believed.
  const report = seen === 'absent' ? await core.backend.getBoot(bootId, signal).catch(absentBoot) : seen;
  if (report !== undefined && report.state !== 'ended') {
    core.boots.note(report);
    await followAddress(core, record, report);
    return false;
  }
  await recordEnd(core, record, report, 'host_restarted');
  await afterEnd(core, record);
  return true;
}

async function followAddress(core: Core, record: SandboxRecord, report: BootReport): Promise<void> {
  const { address, bootId } = report;
  if (address === undefined || (await core.store.boots.get(bootId))?.address === address) return;
  await amend(core, record.id, async (current, nouns) => {
    if (current.bootId !== bootId) return undefined;
    await nouns.boots.setAddress(bootId, address);
    return { patch: {} };
  });
}

/** Decides what follows an end that nobody asked for. */
async function afterEnd(core: Core, record: SandboxRecord): Promise<void> {
  const ends = await unexpectedEnds(core, record, { ran: true });
  await amend(core, record.id, (current) => {
    if (current.desired !== 'running' && !(current.desired === 'paused' && current.pauseMemory)) return undefined;
    if (current.kind === 'ephemeral')
      return {
        patch: { desired: 'deleted', desiredReason: current.lastExit?.reason ?? 'ended', graceMs: 0 },
        event: {
          type: 'sandbox.deleting',
          reason: 'ended',
          message: `Ephemeral sandbox "${current.name}" ended and is deleted`,
        },
      };
    if (current.desired === 'paused') return pauseLost(current);
    if (ends <= mostRestarts) return undefined;
    return {
      patch: { desired: 'stopped', desiredReason: 'crash_loop' },
      event: {
        type: 'sandbox.stopping',
        reason: 'crash_loop',
        message: `Sandbox "${current.name}" ended by itself ${ends} times within ten minutes and is not started again`,
      },
    };
  });
}

/** The boot ended by itself before its memory was saved: a pause would acknowledge what is lost. */
function pauseLost(current: SandboxRecord): Amendment {
  const problem = new Problem(
    'conflict',
    `Sandbox "${current.name}" ended by itself before it was paused: ${current.lastExit?.detail ?? 'nobody knows why'}`,
    { reason: 'boot_ended', hint: 'It is booted again from its disk; pause it again once it runs.' },
  );
  return {
    patch: unwantPause(current),
    event: { type: 'sandbox.pause_failed', reason: problem.reason, message: problem.message },
    failure: { undone: 'pause', problem },
  };
}
