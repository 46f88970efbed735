import { type ProcessInfo, type ProcessStreamMessage, processPaths, type TerminalSize } from '@skerry/protocol/client';
import type { GuestCall, GuestClient } from '../guest-client.ts';
import { type ProcessExit } from './exit.ts';
import type { OnPause } from './over-pause.ts';
import { RunningProcess } from './running-process.ts';

export interface StartOptions extends GuestCall {
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  /** Whether standard input stays open for `sendInput`; closed when absent. */
  readonly stdin?: boolean;
  /** Gives it a terminal of this size. */
  readonly terminal?: TerminalSize;
  /** A word of yours to find it by. */
  readonly tag?: string;
}

export interface RunResult extends ProcessExit {
  readonly stdout: string;
  readonly stderr: string;
}

/** The processes of one sandbox. */
export class Processes {
  readonly #guest: GuestClient;

  constructor(guest: GuestClient) {
    this.#guest = guest;
  }

  /** Starts a process and attaches to it. It lives on when this client goes away. */
  async start(options: StartOptions): Promise<RunningProcess> {
    const [cmd = '', ...args] = options.command;
    const message = {
      process: { cmd, args, envs: options.env ?? {}, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) },
      stdin: options.stdin ?? false,
      ...(options.terminal === undefined ? {} : { pty: { size: options.terminal } }),
      ...(options.tag === undefined ? {} : { tag: options.tag }),
    };
    const { user, terminal } = options;
    const { left, call } = leavable(options);
    const events = this.#guest.stream<ProcessStreamMessage>(processPaths.start, message, call);
    return RunningProcess.attach(this.#guest, events, { user, terminal, left });
  }

  /** Runs a process to its end, over pauses of the sandbox too, and gives back its output as text. */
  async run(options: StartOptions & { readonly input?: string; readonly onPause?: OnPause }): Promise<RunResult> {
    const process = await this.start({ ...options, stdin: options.input !== undefined });
    if (options.input !== undefined) {
      await process.sendInput(new TextEncoder().encode(options.input));
      await process.closeStdin();
    }
    const texts = { stdout: '', stderr: '', pty: '' };
    const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder(), pty: new TextDecoder() };
    const exit = await process.wait(
      ({ from, data }) => {
        texts[from] += decoders[from].decode(data, { stream: true });
      },
      { onPause: options.onPause ?? 'wait', signal: options.signal },
    );
    return { ...exit, stdout: texts.stdout + texts.pty, stderr: texts.stderr };
  }

  /** Attaches to a process that runs, or has ended within the last 30 s. Its terminal, when it has one, takes the size that is given. */
  async connect(pid: number, options: GuestCall & { readonly terminal?: TerminalSize } = {}): Promise<RunningProcess> {
    const { user, terminal } = options;
    const { left, call } = leavable(options);
    const events = this.#guest.stream<ProcessStreamMessage>(processPaths.connect, { process: { pid } }, call);
    const running = await RunningProcess.attach(this.#guest, events, { user, terminal, left });
    if (terminal !== undefined) await running.resize(terminal);
    return running;
  }

  /** The processes that were started through the guest and run now. */
  async list(call: GuestCall = {}): Promise<readonly ProcessInfo[]> {
    return (await this.#guest.unary<{ processes?: ProcessInfo[] }>(processPaths.list, {}, call)).processes ?? [];
  }

  async signal(pid: number, number: number, call: GuestCall = {}): Promise<void> {
    await this.#guest.unary(processPaths.sendSignal, { process: { pid }, signal: number }, call);
  }
}

/** A call that can be cut from inside too. */
function leavable(options: GuestCall): { readonly left: AbortController; readonly call: GuestCall } {
  const left = new AbortController();
  const signal = options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal]);
  return { left, call: { user: options.user, timeoutMs: options.timeoutMs, signal } };
}
