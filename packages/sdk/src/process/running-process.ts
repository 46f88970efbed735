import { type ProcessStreamMessage, processPaths, type TerminalSize } from '@skerry/protocol/client';
import type { GuestClient } from '../guest-client.ts';
import { SkerryError } from '../skerry-error.ts';
import { sleep } from '../sleep.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { type ProcessExit, readExit, timeoutExit } from './exit.ts';
import { mayBePause, type OnPause, sandboxPaused, untilRunningAgain } from './over-pause.ts';

/** A piece of output. A terminal has only `pty`. */
export interface ProcessOutput {
  readonly from: 'stdout' | 'stderr' | 'pty';
  readonly data: Uint8Array;
}

export interface FollowOptions {
  /** What to do when the sandbox is paused; `wait` when absent. */
  readonly onPause?: OnPause;
  /** Ends the waiting for a paused sandbox. */
  readonly signal?: AbortSignal | undefined;
}

const betweenAttemptsMs = 200;

type Events = AsyncGenerator<ProcessStreamMessage>;

/**
 * A process in a sandbox to which this client is attached. When the sandbox is paused, it attaches again by itself once that runs with the same
 * memory, and misses nothing that the guest's buffer holds; input waits so long.
 */
export class RunningProcess implements AsyncDisposable {
  readonly pid: number;
  /** Bytes of output that were lost before this client was attached. */
  readonly droppedBytes: number;
  readonly #guest: GuestClient;
  readonly #user: string | undefined;
  #events: Events;
  #size: TerminalSize | undefined;
  #exit: ProcessExit | undefined;
  #follow: FollowOptions = {};
  #again: Promise<void> | undefined;
  #reading = false;
  readonly #left: AbortController;

  private constructor(guest: GuestClient, events: Events, options: AttachedAs, pid: number, droppedBytes: number) {
    this.#guest = guest;
    this.#events = events;
    this.#user = options.user;
    this.#size = options.terminal;
    this.#left = options.left;
    this.pid = pid;
    this.droppedBytes = droppedBytes;
  }

  /** Takes over a stream of events, whose first one says which process it is. */
  static async attach(guest: GuestClient, events: Events, options: AttachedAs): Promise<RunningProcess> {
    const { pid, droppedBytes } = await readStart(events);
    return new RunningProcess(guest, events, options, pid, droppedBytes);
  }

  /** How it ended; there once `output` has been read to its end. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** Its output as it comes. While nobody reads, the process waits. Ends when the process does. */
  async *output(options: FollowOptions = {}): AsyncGenerator<ProcessOutput> {
    this.#follow = options;
    for (;;) {
      try {
        for (;;) {
          this.#reading = true;
          const next = await this.#events.next();
          this.#reading = false;
          if (next.done === true) return;
          const { data, end } = next.value.event;
          if (end !== undefined) this.#exit = readExit(end);
          if (data?.stdout !== undefined) yield { from: 'stdout', data: fromBase64(data.stdout) };
          if (data?.stderr !== undefined) yield { from: 'stderr', data: fromBase64(data.stderr) };
          if (data?.pty !== undefined) yield { from: 'pty', data: fromBase64(data.pty) };
        }
      } catch (error) {
        if (error instanceof SkerryError && error.code === 'deadline') {
          this.#exit = timeoutExit;
          return;
        }
        await this.#attachAgain(error);
      }
    }
  }

  /** Reads the output to its end, throws it away unless `onOutput` takes it, and says how the process ended. */
  async wait(
    onOutput?: (output: ProcessOutput) => void | Promise<void>,
    options: FollowOptions = {},
  ): Promise<ProcessExit> {
    for await (const output of this.output(options)) await onOutput?.(output);
    if (this.#exit === undefined)
      throw new SkerryError({
        code: 'unavailable',
        reason: 'no_exit',
        message: `Nothing is known of the end of process ${this.pid}`,
        status: 0,
      });
    return this.#exit;
  }

  /** Writes to its standard input, or its terminal; resolves when the process has room for more. Waits while the sandbox is paused. */
  async sendInput(data: Uint8Array, to: 'stdin' | 'pty' = 'stdin', signal?: AbortSignal): Promise<void> {
    const message = { process: { pid: this.pid }, input: { [to]: toBase64(data) } };
    await this.#overPause(() =>
      this.#guest.unary(processPaths.sendInput, message, { user: this.#user, signal, wake: false }),
    );
  }

  async closeStdin(signal?: AbortSignal): Promise<void> {
    const message = { process: { pid: this.pid } };
    await this.#overPause(() =>
      this.#guest.unary(processPaths.closeStdin, message, { user: this.#user, signal, wake: false }),
    );
  }

  /** Tells its terminal the size; while the sandbox is paused the size is told when it runs again. */
  async resize(size: TerminalSize): Promise<void> {
    this.#size = size;
    if (this.#again === undefined) await this.#sendSize(size);
  }

  /** Sends a signal, by number, to its process group. */
  async signal(number: number): Promise<void> {
    const message = { process: { pid: this.pid }, signal: number };
    await this.#guest.unary(processPaths.sendSignal, message, { user: this.#user });
  }

  /**
   * Lets go of it: the process goes on, and its output is kept for the next client as far as there is room. Who waits for its output gets
   * `cancelled`.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    // A generator that is waited for cannot be ended from outside: its connection is cut.
    if (this.#reading || this.#again !== undefined) this.#left.abort();
    else await this.#events.return(undefined);
  }

  /** Attaches again once the sandbox runs with this process in its memory. Throws `error` when it was not paused. */
  async #attachAgain(error: unknown): Promise<void> {
    const beganMs = performance.now();
    for (let failure = error; ; ) {
      await this.#runningAgain(failure);
      const { onPause } = this.#follow;
      const signal = this.#signal;
      const call = { user: this.#user, signal, wake: false };
      const events = this.#guest.stream<ProcessStreamMessage>(
        processPaths.connect,
        { process: { pid: this.pid } },
        call,
      );
      try {
        const { droppedBytes } = await readStart(events);
        this.#events = events;
        if (this.#size !== undefined) await this.#sendSize(this.#size);
        if (typeof onPause === 'function') {
          const waitedMs = performance.now() - beganMs;
          onPause({ state: 'attached', sandbox: this.#guest.view.name, waitedMs, droppedBytes });
        }
        return;
      } catch (next) {
        // It may be paused once more before this client was attached.
        failure = next;
        await sleep(betweenAttemptsMs, signal);
      }
    }
  }

  /** Does what a paused sandbox refuses once it runs again. */
  async #overPause(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      await this.#again;
      try {
        await work();
        return;
      } catch (error) {
        await this.#runningAgain(error);
      }
    }
  }

  /** Waits for the sandbox, once for all who need it. Throws `failure` when that has nothing to do with a pause. */
  async #runningAgain(failure: unknown): Promise<void> {
    if (!mayBePause(failure)) throw failure;
    const { onPause = 'wait' } = this.#follow;
    const told = (status: string): void => {
      if (onPause === 'throw') throw sandboxPaused(this.#guest, this.pid, failure);
      if (onPause !== 'wait') onPause({ state: 'waiting', sandbox: this.#guest.view.name, status });
    };
    this.#again ??= untilRunningAgain(this.#guest, failure, told, this.#signal).finally(() => {
      this.#again = undefined;
    });
    await this.#again;
  }

  /** Ends the waiting: asked for by who reads, or by letting go. */
  get #signal(): AbortSignal {
    const { signal } = this.#follow;
    return signal === undefined ? this.#left.signal : AbortSignal.any([signal, this.#left.signal]);
  }

  async #sendSize(size: TerminalSize): Promise<void> {
    const message = { process: { pid: this.pid }, pty: { size } };
    await this.#guest.unary(processPaths.update, message, { user: this.#user });
  }
}

/** As whom a client is attached, and the size of the terminal that it gave. */
export interface AttachedAs {
  readonly user?: string | undefined;
  readonly terminal?: TerminalSize | undefined;
  /** Cuts its stream of events. */
  readonly left: AbortController;
}

async function readStart(events: Events): Promise<{ readonly pid: number; readonly droppedBytes: number }> {
  const first = await events.next();
  const start = first.done === true ? undefined : first.value.event.start;
  if (start === undefined)
    throw new SkerryError({
      code: 'internal',
      reason: 'no_start',
      message: 'The guest did not say which process started',
      status: 0,
    });
  return { pid: start.pid, droppedBytes: Number(start.droppedBytes ?? 0) };
}
