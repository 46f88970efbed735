import { newId, Problem, type BootReport } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { faultPoint } from '../fault-points.ts';
import { orFail, recordFailure } from './fail.ts';
import { recordEnd } from './halt.ts';
import { unexpectedEnds } from './unexpected-end.ts';

/** Boots of one sandbox that may end before they are ready before it counts as failed. */
const mostStartTries = 3;

/** ready → booting: records the boot before it is asked for. */
export async function prepareBoot(core: Core, record: SandboxRecord): Promise<boolean> {
  const bootId = newId('boot');
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'ready' || current.desired !== 'running') return undefined;
    const { id: sandboxId, diskId, generation } = current;
    await nouns.boots.insert({ id: bootId, sandboxId, diskId, generation, createdAtMs: Date.now() });
    return {
      patch: { observed: 'booting', bootId },
      event: {
        type: 'sandbox.starting',
        reason: current.desiredReason,
        message: `Sandbox "${current.name}" is starting`,
        data: { bootId },
      },
    };
  });
  faultPoint('start.boot-recorded');
  return true;
}

/** booting → running: asks for the recorded boot, as often as needed. */
export async function boot(core: Core, record: SandboxRecord, signal: AbortSignal): Promise<boolean> {
  const { bootId } = record;
  if (bootId === null) throw new Problem('internal', `Sandbox "${record.id}" is booting without a boot`);
  const report = await orFail(core, record, signal, () =>
    core.backend.startBoot(
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
      },
      signal,
    ),
  );
  if (report === undefined) return true;
  faultPoint('start.boot-running');
  if (report.state === 'ended' || report.state === 'stopping') {
    await startFailed(core, record, report);
    return true;
  }
  if (report.state !== 'running' || report.address === undefined)
    throw new Problem('unavailable', 'The boot is not ready yet', { reason: 'boot_not_ready' });
  const { address } = report;
  core.boots.note(report);
  await amend(core, record.id, async (current, nouns) => {
    if (current.observed !== 'booting' || current.bootId !== bootId) return undefined;
    await nouns.boots.setAddress(bootId, address);
    const recovered = current.lastExit !== null && current.lastExit.reason !== 'stopped';
    return {
      patch: { observed: 'running', everRan: true, engine: report.engine, startedAtMs: report.startedAtMs },
      event: {
        type: recovered ? 'sandbox.recovered' : 'sandbox.running',
        reason: recovered ? current.lastExit.reason : current.desiredReason,
        message: `Sandbox "${current.name}" runs`,
        data: { bootId },
      },
    };
  });
  faultPoint('start.recorded');
  return true;
}

/** booting → halting: the boot ended before it was ready. It is tried again a few times. */
async function startFailed(core: Core, record: SandboxRecord, report: BootReport): Promise<void> {
  await recordEnd(core, record, report, 'start_failed');
  const ends = await unexpectedEnds(core, record);
  if (ends < mostStartTries) return;
  const detail = report.exit?.detail ?? 'it gave no reason';
  const reason =
    report.exit?.reason === undefined || report.exit.reason === 'stopped' ? 'start_failed' : report.exit.reason;
  await recordFailure(
    core,
    record,
    new Problem('internal', `Sandbox "${record.name}" does not start: ${detail}`, { reason }),
  );
}
