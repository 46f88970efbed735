import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootId } from '@skerry/model';
import type { Cgroups } from './cgroups.ts';
import type { SandboxState } from './sandbox-state.ts';

/** Pauses in `ms` before each look for stubs. One that was just being forked at a look is found by a later one. */
const pausesMs = [0, 25, 250];

/**
 * Makes the kernel choose a greedy process, and not the sentry with all others, when a boot runs out of memory: it raises the score of the stubs
 * (the host's side of processes inside) that are there after a start. Every later one is forked from these and inherits it. The sentry's own
 * score cannot be lowered without CAP_SYS_RESOURCE.
 */
export async function preferStubs(
  cgroups: Cgroups,
  bootId: BootId,
  { sandboxPid, goferPid }: SandboxState,
): Promise<void> {
  const done = new Set([sandboxPid, goferPid]);
  for (const pauseMs of pausesMs) {
    await sleep(pauseMs);
    for (const pid of await cgroups.processes(bootId)) {
      if (done.has(pid)) continue;
      done.add(pid);
      // It may have ended since.
      await writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => undefined);
    }
  }
}
