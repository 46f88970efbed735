import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import type { Core } from '../core.ts';
import { absentBoot } from './halt.ts';

/** A guest that does not answer may have died with its boot, which the host learns a moment later. */
const looks = 5;
const betweenLooksMs = 100;

/** Why a boot could not be saved. When it ended meanwhile that is the reason, and it passes: the sandbox is booted again. */
export async function whyNotSaved(
  core: Core,
  record: SandboxRecord,
  problem: Problem,
  signal: AbortSignal,
): Promise<Problem> {
  const { bootId, name } = record;
  if (bootId === null || (problem.code !== 'not_found' && problem.code !== 'precondition_failed')) return problem;
  for (let look = 0; look < looks; look++) {
    const report = await core.backend.getBoot(bootId, signal).catch(absentBoot);
    if (report === undefined || report.state === 'ended')
      return new Problem('conflict', `Sandbox "${name}" ended while it was being saved`, {
        reason: 'boot_ended',
        hint: 'It is started again: try again when it runs.',
        cause: problem,
      });
    await sleep(betweenLooksMs, undefined, { signal });
  }
  return problem;
}
