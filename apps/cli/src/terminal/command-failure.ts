import { SkerryError } from '@skerry/sdk';
import { asSkerryError } from '../output/failure.ts';

const skerrysOwn = new Set(['internal', 'unavailable', 'deadline', 'data_loss', 'cancelled']);
const failedExitCode = 125;
const notFoundExitCode = 127;

/** A failure of `run` or `exec`: 125 when Skerry failed, so that it is told apart from the command's own exit codes. */
export class CommandFailure extends SkerryError {
  readonly #exitCode: number;

  constructor(error: SkerryError) {
    super({
      code: error.code,
      reason: error.reason,
      message: error.message,
      status: error.status,
      cause: error.cause,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    });
    this.#exitCode = /command '.*' (?:was not found|does not exist)/s.test(error.message)
      ? notFoundExitCode
      : skerrysOwn.has(error.code)
        ? failedExitCode
        : error.exitCode;
  }

  override get exitCode(): number {
    return this.#exitCode;
  }
}

/** Runs the work of `run` or `exec`; its failures get those commands' exit codes. */
export async function asCommand<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new CommandFailure(asSkerryError(error));
  }
}
