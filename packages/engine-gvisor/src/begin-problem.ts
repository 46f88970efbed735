import { type BootId, Problem } from '@skerry/model';
import { damaged, isDamage } from './memory-image.ts';

/** What a failed start is to its caller. */
export function startProblem(bootId: BootId, error: unknown): Problem {
  return (
    ended(error) ??
    new Problem('internal', `gVisor could not start boot "${bootId}"`, { reason: 'engine_start_failed', cause: error })
  );
}

/** What a failed restore is to its caller. */
export function restoreProblem(bootId: BootId, error: unknown): Problem {
  const known = ended(error);
  if (known !== undefined) return known;
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
