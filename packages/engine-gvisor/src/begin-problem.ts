import type { EngineBootSpec } from '@skerry/engine';
import { type BootId, Problem } from '@skerry/model';
import type { LimitHits } from './cgroups.ts';
import { damaged, isDamage } from './memory-image.ts';

/** What a failed start is to its caller. */
export function startProblem(bootId: BootId, error: unknown): Problem {
  return (
    ended(error) ??
    new Problem('internal', `gVisor could not start boot "${bootId}"`, { reason: 'engine_start_failed', cause: error })
  );
}

/** What a failed restore is to its caller; `hits` are those of the boot before it was swept. */
export function restoreProblem({ bootId, memoryMiB }: EngineBootSpec, hits: LimitHits, error: unknown): Problem {
  const known = ended(error);
  if (known !== undefined) return known;
  if (hits.outOfMemory > 0)
    return new Problem('precondition_failed', `The saved memory does not fit into ${memoryMiB} MiB`, {
      reason: 'memory_too_small',
      hint: 'Give the sandbox as much memory as it had when it was saved.',
      cause: error,
    });
  if (error instanceof Error && isDamage(error.message)) return damaged('gVisor could not read it', error);
  return new Problem('internal', `gVisor could not bring back boot "${bootId}" from its memory`, {
    reason: 'engine_restore_failed',
    cause: error,
  });
}

/** A problem that needs no other words: its own, an abort, a deadline. */
function ended(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError'))
    return Problem.from(error);
  return undefined;
}
