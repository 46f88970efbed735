import type { PauseNotice } from '@skerry/sdk';
import { printJson, printNote } from '../output/print.ts';
import { formatBytes, formatDuration } from '../output/units.ts';

export interface PauseWatchOptions {
  readonly pid: number;
  readonly json: boolean;
  /** Whether keys come unread by this machine's own terminal: then lines must be ended as it would. */
  readonly raw: boolean;
  /** Brings the sandbox back, when the person asks for it by Enter. */
  readonly resume: () => Promise<unknown>;
}

const enter = [10, 13];
const interrupt = 3;

/** Tells the person of a pause, once, and takes their keys while it lasts: Enter resumes the sandbox, Ctrl-C leaves. */
export class PauseWatch {
  readonly #options: PauseWatchOptions;
  readonly #leave = new AbortController();
  #waiting = false;
  #resuming = false;
  #sandbox = '';

  constructor(options: PauseWatchOptions) {
    this.#options = options;
  }

  /** Whether the sandbox is paused now. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Aborted when the person does not want to wait. */
  get signal(): AbortSignal {
    return this.#leave.signal;
  }

  leave(): void {
    const { pid } = this.#options;
    const name = this.#sandbox;
    this.#say(`Left. Process ${pid} goes on when "${name}" does; "skerry attach ${name} ${pid}" is back at it.`);
    this.#leave.abort();
  }

  readonly onPause = (notice: PauseNotice): void => {
    this.#sandbox = notice.sandbox;
    this.#waiting = notice.state === 'waiting';
    this.#resuming = false;
    if (this.#options.json) {
      if (notice.state === 'waiting') printJson({ type: 'paused', sandbox: notice.sandbox });
      else printJson({ type: 'attached', waitedMs: Math.round(notice.waitedMs), droppedBytes: notice.droppedBytes });
      return;
    }
    if (notice.state === 'waiting') {
      const keys = this.#options.raw ? 'Enter resumes it, Ctrl-C leaves' : 'Ctrl-C leaves';
      this.#say(`"${notice.sandbox}" is being paused; this goes on when it runs again (${keys}).`);
      return;
    }
    const lost = notice.droppedBytes === 0 ? '' : ` ${formatBytes(notice.droppedBytes)} of output found no room.`;
    this.#say(`"${notice.sandbox}" runs again, after ${formatDuration(notice.waitedMs)}.${lost}`);
  };

  /**
   * Takes what was typed while the sandbox is paused; other keys than these two have nobody to go to. Gives back whether it was taken: what is typed
   * after Enter is for the sandbox.
   */
  typed(keys: Uint8Array): boolean {
    if (!this.#waiting) return false;
    if (keys.includes(interrupt)) this.leave();
    else if (this.#resuming) return false;
    else if (enter.some((key) => keys.includes(key))) {
      this.#resuming = true;
      this.#options.resume().catch((error: unknown) => {
        this.#resuming = false;
        this.#say(`It cannot be resumed: ${error instanceof Error ? error.message : String(error)}`);
      });
    }
    return true;
  }

  #say(line: string): void {
    if (this.#options.json) return;
    printNote(this.#options.raw ? `\r\n[${line}]\r` : `skerry: ${line}`);
  }
}
