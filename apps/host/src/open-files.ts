import { readFile } from 'node:fs/promises';
import type { Log } from '@skerry/kit';

/** Warns when this daemon's soft limit of open files is below the hard one: each sandbox inherits it, and needs thousands. */
export async function warnAboutOpenFiles(log: Log): Promise<void> {
  const { soft, hard } = parseOpenFiles(await readFile('/proc/self/limits', 'utf8'));
  if (soft < hard)
    log.warn('The soft limit of open files is below the hard one; sandboxes get the lower', { soft, hard });
}

/** Reads `/proc/PID/limits`. */
export function parseOpenFiles(limits: string): { readonly soft: number; readonly hard: number } {
  const [, soft = '', hard = ''] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const count = (text: string): number => (text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text));
  return { soft: count(soft), hard: count(hard) };
}
