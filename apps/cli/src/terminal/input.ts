import { type RunningProcess, SkerryError } from '@skerry/sdk';

const mostAtOnce = 512 * 1024;
const endOfInput = Buffer.from([4]);

/** Takes what is typed while it cannot go to the process. */
export interface KeyTaker {
  /** Whether it took these keys. */
  typed(keys: Uint8Array): boolean;
}

/** Passes standard input to a process, in order, no faster than the process reads. */
export function pumpInput(running: RunningProcess, terminal: boolean, taker?: KeyTaker): { readonly stop: () => void } {
  const stopped = new AbortController();
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let ended = false;
  let sending = false;

  const send = async (): Promise<void> => {
    if (sending) return;
    sending = true;
    try {
      while (waiting.length > 0 && !stopped.signal.aborted) {
        const data = Buffer.concat(waiting);
        waiting = [];
        waitingBytes = 0;
        if (!ended) process.stdin.resume();
        await running.sendInput(data, terminal ? 'pty' : 'stdin', stopped.signal);
      }
      if (ended && !stopped.signal.aborted) {
        if (terminal) await running.sendInput(endOfInput, 'pty', stopped.signal);
        else await running.closeStdin(stopped.signal);
      }
    } catch (error) {
      // A process that has ended, or closed its input, reads no more; how it ended is told by its stream.
      if (!(error instanceof SkerryError)) throw error;
      stop();
    } finally {
      sending = false;
    }
  };
  const onData = (chunk: Buffer): void => {
    if (taker?.typed(chunk) === true) return;
    waiting.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes >= mostAtOnce) process.stdin.pause();
    void send();
  };
  const onEnd = (): void => {
    ended = true;
    void send().then(() => {
      // What came while an earlier piece was under way has been sent; the end itself may not.
      if (ended && !stopped.signal.aborted && waiting.length > 0) void send();
    });
  };
  const stop = (): void => {
    stopped.abort();
    process.stdin.off('data', onData);
    process.stdin.off('end', onEnd);
    process.stdin.pause();
    // A file has nothing that keeps this program alive, and no such method.
    if ('unref' in process.stdin) process.stdin.unref();
  };
  process.stdin.on('data', onData);
  process.stdin.once('end', onEnd);
  process.stdin.once('error', onEnd);
  return { stop };
}
