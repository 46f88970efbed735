import { SkerryError } from '@skerry/sdk';
import { asSkerryError, printFailure } from '../../output/failure.ts';

/** Does the same to several sandboxes, side by side. One that fails does not keep the others; the exit code is the first failure's. */
export async function forEachName(
  names: readonly string[],
  json: boolean,
  work: (name: string) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(names.map((name) => work(name)));
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [asSkerryError(result.reason)] : []));
  const [first] = failures;
  if (first === undefined) return;
  for (const failure of failures.slice(0, -1)) printFailure(failure, json);
  const last = failures.at(-1) ?? first;
  throw new SkerryError({ ...fieldsOf(last), code: first.code });
}

function fieldsOf(error: SkerryError): ConstructorParameters<typeof SkerryError>[0] {
  return {
    code: error.code,
    reason: error.reason,
    message: error.message,
    status: error.status,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
  };
}
