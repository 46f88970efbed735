import { errorOfFailure } from './skerry-error.ts';

/** Waits. Throws `cancelled`, or `deadline` when it is one, when the signal comes first. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const onAbort = (): void => resolve();
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) resolve();
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener('abort', onAbort);
  if (signal?.aborted === true) throw errorOfFailure(signal.reason, '', signal);
}
