import { SkerryError } from '@skerry/sdk';

/** Wrong usage of the command line: exit code 2. */
export function usageError(message: string, hint?: string): SkerryError {
  return new SkerryError({
    code: 'invalid',
    reason: 'usage',
    message,
    status: 0,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Says three things on standard error: what happened, why, and what to do; with `--json`, one problem document. Gives back the exit code. */
export function printFailure(thrown: unknown, json: boolean): number {
  const error = asSkerryError(thrown);
  if (json) process.stderr.write(`${JSON.stringify(error.toDocument())}\n`);
  else
    for (const line of failureLines(error, process.stderr.isTTY && process.env['NO_COLOR'] === undefined))
      process.stderr.write(`${line}\n`);
  return error.exitCode;
}

/** The lines of an error for a person. */
export function failureLines(error: SkerryError, colour = false): string[] {
  const red = colour ? '\x1b[31m' : '';
  const plain = colour ? '\x1b[0m' : '';
  const lines = [`${red}skerry: ${error.message}${plain}`];
  const why = whyOf(error);
  if (why !== undefined) lines.push(`  why: ${why}`);
  const hint = error.hint ?? (error.retryable ? 'Try again.' : undefined);
  if (hint !== undefined) lines.push(`  do:  ${hint}`);
  return lines;
}

function whyOf(error: SkerryError): string | undefined {
  const words = error.reason.replaceAll('_', ' ');
  const request = error.requestId === undefined ? '' : ` (request ${error.requestId})`;
  if (error.reason === 'usage') return undefined;
  const inner = error.cause instanceof Error && !(error.cause instanceof SkerryError) ? error.cause : undefined;
  if (error.reason !== error.code) return `${words}${request}`;
  if (inner !== undefined && inner.message !== error.message) return `${inner.message}${request}`;
  return `${error.code.replaceAll('_', ' ')}${request}`;
}

export function asSkerryError(thrown: unknown): SkerryError {
  if (thrown instanceof SkerryError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SkerryError({ code: 'internal', reason: 'internal', message, status: 0, cause: thrown });
}
