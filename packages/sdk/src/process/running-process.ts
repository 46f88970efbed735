import { type ProcessStreamMessage, processPaths, type TerminalSize } from '@skerry/protocol/client';
import type { GuestClient } from '../guest-client.ts';
import { SkerryError } from '../skerry-error.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { type ProcessExit, readExit, timeoutExit } from './exit.ts';

/** A piece of output. A terminal has only `pty`. */
export interface ProcessOutput {
  readonly from: 'stdout' | 'stderr' | 'pty';
  readonly data: Uint8Array;
}

/** A process in a sandbox to which this client is attached. */
export class RunningProcess implements AsyncDisposable {
  readonly pid: number;
  /** Bytes of output that were lost before this client was attached. */
  readonly droppedBytes: number;
  readonly #guest: GuestClient;
  readonly #events: AsyncGenerator<ProcessStreamMessage>;
  readonly #user: string | undefined;
  #exit: ProcessExit | undefined;

  private constructor(
    guest: GuestClient,
    events: AsyncGenerator<ProcessStreamMessage>,
    user: string | undefined,
    pid: number,
    droppedBytes: number,
  ) {
    this.#guest = guest;
    this.#events = events;
    this.#user = user;
    this.pid = pid;
    this.droppedBytes = droppedBytes;
  }

  /** Takes over a stream of events, whose first one says which process it is. */
  static async attach(
    guest: GuestClient,
    events: AsyncGenerator<ProcessStreamMessage>,
    user: string | undefined,
  ): Promise<RunningProcess> {
    const first = await events.next();
    const start = first.done === true ? undefined : first.value.event.start;
    if (start === undefined)
      throw new SkerryError({
        code: 'internal',
        reason: 'no_start',
        message: 'The guest did not say which process started',
        status: 0,
      });
    return new RunningProcess(guest, events, user, start.pid, Number(start.droppedBytes ?? 0));
  }

  /** How it ended; there once `output` has been read to its end. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** Its output as it comes. While nobody reads, the process waits. Ends when the process does. */
  async *output(): AsyncGenerator<ProcessOutput> {
    try {
      for (;;) {
        const next = await this.#events.next();
        if (next.done === true) break;
        const { data, end } = next.value.event;
        if (end !== undefined) this.#exit = readExit(end);
        if (data?.stdout !== undefined) yield { from: 'stdout', data: fromBase64(data.stdout) };
        if (data?.stderr !== undefined) yield { from: 'stderr', data: fromBase64(data.stderr) };
        if (data?.pty !== undefined) yield { from: 'pty', data: fromBase64(data.pty) };
      }
    } catch (error) {
      if (!(error instanceof SkerryError) || error.code !== 'deadline') throw error;
      this.#exit = timeoutExit;
    }
  }

  /** Reads the output to its end, throws it away unless `onOutput` takes it, and says how the process ended. */
  async wait(onOutput?: (output: ProcessOutput) => void | Promise<void>): Promise<ProcessExit> {
    for await (const output of this.output()) await onOutput?.(output);
    if (this.#exit === undefined)
      throw new SkerryError({
        code: 'unavailable',
        reason: 'no_exit',
        message: `Nothing is known of the end of process ${this.pid}`,
        status: 0,
      });
    return this.#exit;
  }

  /** Writes to its standard input, or its terminal; resolves when the process has room for more. */
  async sendInput(data: Uint8Array, to: 'stdin' | 'pty' = 'stdin', signal?: AbortSignal): Promise<void> {
    const message = { process: { pid: this.pid }, input: { [to]: toBase64(data) } };
    await this.#guest.unary(processPaths.sendInput, message, { user: this.#user, signal });
  }

  async closeStdin(signal?: AbortSignal): Promise<void> {
    await this.#guest.unary(processPaths.closeStdin, { process: { pid: this.pid } }, { user: this.#user, signal });
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#guest.unary(processPaths.update, { process: { pid: this.pid }, pty: { size } }, { user: this.#user });
  }

  /** Sends a signal, by number, to its process group. */
  async signal(number: number): Promise<void> {
    await this.#guest.unary(
      processPaths.sendSignal,
      { process: { pid: this.pid }, signal: number },
      { user: this.#user },
    );
  }

  /** Lets go of it: the process goes on, and its output is kept for the next client as far as there is room. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#events.return(undefined);
  }
}
