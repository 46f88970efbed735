import { Backoff, errorFields, type Log } from '@skerry/kit';
import { Problem } from '@skerry/model';

/** What the work gives, or `undefined` when it fails or takes longer. */
export async function withinMs<T>(work: Promise<T> | undefined, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work?.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Throws `deadline` when an end takes longer. */
export async function endedWithinMs(work: Promise<void>, ms: number): Promise<void> {
  const done = await withinMs(
    work.then(() => true),
    ms,
  );
  if (done !== true)
    throw new Problem('deadline', 'The sandbox has not ended yet', {
      reason: 'boot_not_ended',
      hint: 'Skerry goes on trying: ask again.',
    });
}

/** Repeats a step until it works, or until `giveUp` says that it no longer matters. */
export async function untilDone(
  log: Log,
  message: string,
  step: () => Promise<void>,
  giveUp: () => boolean = () => false,
): Promise<void> {
  const backoff = new Backoff(100, 30_000);
  while (!giveUp()) {
    try {
      return await step();
    } catch (error) {
      log.error(message, errorFields(error));
      await new Promise((resolve) => setTimeout(resolve, backoff.next()));
    }
  }
}
