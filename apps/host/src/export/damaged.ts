import { Problem } from '@skerry/model';

/** The problem of an export file that is not whole. `what` goes on after a colon. */
export function damaged(what: string, cause?: unknown): Problem {
  return new Problem('data_loss', `The file cannot be imported: ${what}`, {
    reason: 'export_damaged',
    hint: 'Nothing was made of it. Export again, or fetch the file again.',
    cause,
  });
}
