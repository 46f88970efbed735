import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const patienceMs = 30_000;

/** Resolves once a guest has printed this text. */
export async function logged(path: string, text: string): Promise<void> {
  for (const until = Date.now() + patienceMs; Date.now() < until; await sleep(20))
    if ((await readFile(path, 'utf8').catch(() => '')).includes(text)) return;
  throw new Error(`"${text}" did not appear in the log: ${await readFile(path, 'utf8').catch(() => 'there is none')}`);
}
