import { Problem } from '@skerry/model';
import { type ExecBody, type ExecEvent, type ProcessStreamMessage, processPaths } from '@skerry/protocol';
import type { GuestClient } from '../guest/guest-client.ts';
import { parseSignal } from '@skerry/protocol';
import { startRequest } from './command.ts';

/** The exit code of a command that ran longer than its timeout. */
const timedOutExitCode = 124;
const inputChunkBytes = 256 * 1024;
const killTimeoutMs = 5000;

/**
 * Runs a command in a sandbox and gives its events, the last of them `end` unless it is detached. Taken slowly, it slows the command down. When the
 * signal aborts, the command is killed; when the sandbox is put to rest, it goes on in there. Throws what keeps it from starting.
 */
export async function* runCommand(guest: GuestClient, body: ExecBody, signal: AbortSignal): AsyncGenerator<ExecEvent> {
  const startedAt = performance.now();
  const { user, timeoutMs } = body;
  const as = user === undefined ? {} : { user };
  // The guest's stream outlives the client for as long as it takes to know the process and to kill it.
  const stream = new AbortController();
  let pid: number | undefined;
  let over = false;
  let ending: ExecEvent | undefined;
  const kill = (): void => {
    if (body.detach === true || over) return;
    if (pid === undefined) {
      setTimeout(() => stream.abort(signal.reason), killTimeoutMs).unref();
      return;
    }
    over = true;
    const request = { process: { pid }, signal: 'SIGNAL_SIGKILL' };
    void guest
      .unary(processPaths.sendSignal, request, { signal: AbortSignal.timeout(killTimeoutMs) })
      .catch(() => undefined)
      .finally(() => stream.abort(signal.reason));
  };
  signal.addEventListener('abort', kill, { once: true });
  const end = (exitCode: number, timedOut: boolean, signalName?: string): ExecEvent => ({
    type: 'end',
    exitCode,
    ...(signalName === undefined ? {} : { signal: signalName }),
    timedOut,
    durationMs: Math.round(performance.now() - startedAt),
  });
  try {
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    for await (const message of guest.stream(processPaths.start, startRequest(body), {
      ...as,
      ...limit,
      signal: stream.signal,
    })) {
      const { event } = message as ProcessStreamMessage;
      if (event.start !== undefined) {
        pid = event.start.pid;
        if (signal.aborted) kill();
        else if (body.stdin !== undefined && body.stdin !== '') void sendInput(guest, pid, body.stdin, stream.signal);
        yield { type: 'start', pid };
        if (body.detach === true) {
          over = true;
          return;
        }
      } else if (event.data?.stdout !== undefined) yield { type: 'stdout', data: event.data.stdout };
      else if (event.data?.stderr !== undefined) yield { type: 'stderr', data: event.data.stderr };
      else if (event.end !== undefined) {
        over = true;
        const died = parseSignal(event.end.error);
        ending = died === undefined ? end(event.end.exitCode ?? 0, false) : end(128 + died.number, false, died.name);
      }
    }
    if (ending === undefined)
      throw new Problem('internal', 'The command ended without a word', { reason: 'guest_failed' });
    yield ending;
  } catch (error) {
    const problem = Problem.from(error);
    // It rests with the sandbox or has gone with it.
    if (problem.code === 'unavailable') over = true;
    if (pid === undefined || problem.code !== 'deadline' || timeoutMs === undefined) throw error;
    over = true;
    yield end(timedOutExitCode, true, 'SIGKILL');
  } finally {
    signal.removeEventListener('abort', kill);
    if (!over && pid !== undefined) kill();
    else if (over && pid !== undefined && !signal.aborted) stream.abort();
  }
}

/** Writes standard input while the output is read, and closes it. A command that does not want it is no failure. */
async function sendInput(guest: GuestClient, pid: number, text: string, signal: AbortSignal): Promise<void> {
  const bytes = Buffer.from(text);
  const process = { pid };
  try {
    for (let at = 0; at < bytes.length; at += inputChunkBytes) {
      const stdin = bytes.subarray(at, at + inputChunkBytes).toString('base64');
      await guest.unary(processPaths.sendInput, { process, input: { stdin } }, { signal });
    }
    await guest.unary(processPaths.closeStdin, { process }, { signal });
  } catch {
    // The process has ended or closed its input: its own end tells the caller what came of it.
  }
}
