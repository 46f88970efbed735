import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineExit } from '@skerry/engine';
import { errorFields, type Log } from '@skerry/kit';
import type { BootId } from '@skerry/model';
import { bundleFiles } from './bundle.ts';
import type { Cgroups } from './cgroups.ts';
import { callSandbox, SandboxGone } from './control-socket.ts';
import { judgeExit } from './exit.ts';
import type { SandboxState } from './sandbox-state.ts';

/** The ending of one boot, to come or past. */
export interface Ending {
  /** Resolves when no process of the boot is left; never rejects. */
  readonly exit: Promise<EngineExit>;
  /** Says that the end is asked for, before it is brought about. */
  request(): void;
}

export interface Watched {
  readonly bootId: BootId;
  readonly state: SandboxState | undefined;
  readonly cgroups: Cgroups;
  readonly log: Log;
}

/** How long a sandbox whose PID 1 has ended may take to end itself. */
const lingerMs = 2_000;
const pollMs = 5;
/** How long a call may stay unnoticed by a sandbox that is busy ending. */
const acceptMs = 250;
/** Only for a sandbox that lives but does not take our call. */
const slowPollMs = 500;

/** Watches a boot by one open call on its control socket: no process and no timer for as long as it lives. */
export function watchSandbox(watched: Watched): Ending {
  let requested = false;
  const exit = follow(watched, () => requested).catch((error: unknown): EngineExit => {
    watched.log.error('Could not tell how a boot ended', { bootId: watched.bootId, ...errorFields(error) });
    return { cause: 'engine_failed', detail: error instanceof Error ? error.message : String(error) };
  });
  return {
    exit,
    request: () => {
      requested = true;
    },
  };
}

async function follow({ bootId, state, cgroups, log }: Watched, isRequested: () => boolean): Promise<EngineExit> {
  const isAlive = async (): Promise<boolean> =>
    state !== undefined && (await cgroups.processes(bootId)).includes(state.sandboxPid);
  const foundAlive = await isAlive();
  const calledAt = performance.now();
  let waitStatus: number | undefined;
  if (state !== undefined && foundAlive) {
    try {
      const answer = await callSandbox(state.controlSocket, 'containerManager.Wait', bootId);
      if (typeof answer === 'number') waitStatus = answer;
    } catch (error) {
      if (!(error instanceof SandboxGone))
        log.warn('A sandbox refused to be waited for', { bootId, ...errorFields(error) });
    }
  }
  // A PID 1 that exits at once may take the sandbox with it before the call is accepted: that is no failure of the sandbox.
  const attended = foundAlive && performance.now() - calledAt > acceptMs;
  // A gofer follows its sandbox; one that is missing while the sandbox is still there has gone first.
  const pids = await cgroups.processes(bootId);
  const goferLost = state !== undefined && !pids.includes(state.goferPid) && pids.includes(state.sandboxPid);
  for (let waitedMs = 0; await isAlive(); waitedMs += pollMs) {
    // PID 1 has ended, and the sandbox took too long to follow.
    if (waitStatus !== undefined && waitedMs > lingerMs) break;
    await sleep(waitStatus === undefined && waitedMs > lingerMs ? slowPollMs : pollMs);
  }
  await cgroups.killAll(bootId, lingerMs * 5);
  const panic = state === undefined ? '' : await readStart(bundleFiles.panicLog(state.bundle));
  return judgeExit({
    ...(waitStatus === undefined ? {} : { waitStatus }),
    requested: isRequested(),
    attended,
    goferLost,
    hits: await cgroups.limitHits(bootId),
    panic,
  });
}

/** The first 64 KiB of a file; empty when it is not there. A sentry's death writes the stack of each of its threads. */
async function readStart(path: string): Promise<string> {
  try {
    await using handle = await open(path, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(65_536), 0, 65_536, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  }
}
