import { newId, Problem, type BootReport } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { releaseForkPoint } from '../actions/snapshot/release-fork-point.ts';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { isPassing, recordFailure } from './fail.ts';
import { fallBack, forgoMemory } from './fall-back.ts';
import { recordEnd } from './halt.ts';
import { isOwnPoint } from './points.ts';
import { unexpectedEnds } from './unexpected-end.ts';

/** Boots of one sandbox that may end before they are ready before it counts as failed. */
const mostStartTries = 3;
const asked: ReadonlySet<string> = new Set(['stopped', 'paused', 'restore_failed']);

/** ready → booting: records the boot before it is asked for. */
export async function prepareBoot(core: Core, record: SandboxRecord): Promise<boolean> {
  const bootId = newId('boot');
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'ready' || !mayRun(current)) return undefined;
    const { id: sandboxId, diskId, generation, name } = current;
    await nouns.boots.insert({ id: bootId, sandboxId, diskId, generation, createdAtMs: Date.now() });
    const resumes = current.pointId !== null && current.everRan;
    return {
      patch: { observed: 'booting', bootId },
      event: {
        type: resumes ? 'sandbox.resuming' : 'sandbox.starting',
        reason: current.desiredReason,
        message: resumes ? `Sandbox "${name}" goes on from its memory` : `Sandbox "${name}" is starting`,
        data: { bootId, ...(current.pointId === null ? {} : { snapshotId: current.pointId }) },
      },
    };
  });
  faultPoint('start.boot-recorded');
  return true;
}

/** A pause that was asked for before the first boot lets that run first. */
function mayRun({ desired, everRan, failure, rollbackTo }: SandboxRecord): boolean {
  return failure === null && rollbackTo === null && (desired === 'running' || (desired === 'paused' && !everRan));
}

/** booting → running: asks for the recorded boot, as often as needed. */
export async function boot(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  const report = await ask(core, record, signal);
  if (report === undefined) return true;
  faultPoint('start.boot-running');
  if (report.state === 'ended' || report.state === 'stopping') {
    await startFailed(core, record, report);
    return true;
  }
  if (report.state !== 'running' || report.address === undefined)
    throw new Problem('unavailable', 'The boot is not ready yet', { reason: 'boot_not_ready' });
  core.boots.note(report);
  await recordRunning(core, record, report, report.address);
  faultPoint('start.recorded');
  if (record.sourceSnapshotId !== null) await releaseForkPoint(core, record.sourceSnapshotId);
  return true;
}

/** Asks for the boot. What cannot pass by itself is a failure of the sandbox, or of the memory that it was to go on from. */
async function ask(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<BootReport | undefined> {
  const { bootId } = record;
  if (bootId === null) throw new Problem('internal', `Sandbox "${record.id}" is booting without a boot`);
  try {
    return await core.backend.startBoot(
      {
        bootId,
        sandboxId: record.id,
        diskId: record.diskId,
        hostname: record.name,
        cpus: record.resources.cpus,
        memoryMiB: record.resources.memoryMiB,
        isolation: record.isolation,
        generation: record.generation,
        accessToken: core.secrets.accessToken(record.id, record.generation),
        env: record.env,
        user: record.user,
        ...(record.workdir === null ? {} : { workdir: record.workdir }),
        ...(record.pointId === null ? {} : { restoreFrom: record.pointId, restoreAs: record.restoreAs }),
      },
      signal,
    );
  } catch (error) {
    const problem = Problem.from(error);
    if (signal.aborted || isPassing(problem)) throw error;
    core.log.error({ sandbox: record.id, reason: problem.reason, err: error }, 'A boot was refused');
    // What is short now may be there later: the memory is kept for that.
    if (record.pointId !== null && problem.code !== 'exhausted')
      await fallBack(core, record, undefined, problem.message);
    else await recordFailure(core, record, problem);
    return undefined;
  }
}

async function recordRunning(core: Core, record: SandboxRecord, report: BootReport, address: string): Promise<void> {
  const { bootId } = report;
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'booting' || current.bootId !== bootId) return undefined;
    await nouns.boots.setAddress(bootId, address);
    const { pointId, lastExit, name } = current;
    const point = pointId === null ? undefined : await nouns.snapshots.find(pointId);
    const recovered = pointId === null && lastExit !== null && !asked.has(lastExit.reason);
    const resumed = pointId !== null && current.everRan;
    return {
      patch: {
        observed: 'running',
        everRan: true,
        engine: report.engine,
        startedAtMs: report.startedAtMs,
        pausedAtMs: null,
        frozen: false,
        pointId: null,
        restoreAs: 'resume',
        ...(pointId === null ? {} : { resume: { from: 'memory', atMs: Date.now() } as const }),
        // The point stays until the next rest point is complete.
        ...(isOwnPoint(point, current.id) ? { oldPointId: pointId } : {}),
      },
      event: {
        type: resumed ? 'sandbox.resumed' : recovered ? 'sandbox.recovered' : 'sandbox.running',
        reason: recovered ? lastExit.reason : current.desiredReason,
        message: resumed ? `Sandbox "${name}" goes on where it was` : `Sandbox "${name}" runs`,
        data: { bootId },
      },
    };
  });
}

/** booting → halting: the boot ended before it was ready. It is tried again a few times, then without its memory, then not at all. */
async function startFailed(core: Core, record: SandboxRecord, report: BootReport): Promise<void> {
  const detail = report.exit?.detail ?? 'it gave no reason';
  if (record.pointId !== null && report.exit?.reason === 'restore_failed')
    return fallBack(core, record, report, detail);
  await recordEnd(core, record, report, 'start_failed');
  if ((await unexpectedEnds(core, record, { ran: false })) < mostStartTries) return;
  if (record.pointId !== null) return forgoMemory(core, record, detail);
  const reason =
    report.exit?.reason === undefined || report.exit.reason === 'stopped' ? 'start_failed' : report.exit.reason;
  await recordFailure(
    core,
    record,
    new Problem('internal', `Sandbox "${record.name}" does not start: ${detail}`, { reason }),
  );
}
