import type { Logger } from 'pino';

/** Runs work at once and then again and again, with a pause after each run, until the signal. A failed run is logged and the next one comes. */
export async function every(
  pauseMs: number,
  signal: AbortSignal,
  log: Logger,
  name: string,
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      log.warn({ reconciler: name, err: error }, 'A reconciler failed and will run again');
    }
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, pauseMs);
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
    });
  }
}
