import type { SandboxView } from '@skerry/sdk';
import { formatDuration } from './units.ts';

/** How a sandbox last came back, as a sentence's end: from its memory, or what was lost and why. */
export function resumeText({ resume }: SandboxView): string {
  if (resume === undefined) return 'from its disk';
  if (resume.from === 'memory') return 'with its memory';
  const lost = resume.lost === undefined ? '' : `; lost: ${resume.lost}`;
  return `from its disk${lost}${resume.why === undefined ? '' : ` (${resume.why})`}`;
}

/** What wakes a sandbox, in words. */
export const wakeWords = {
  request: 'any request wakes it',
  api: 'a call of the API wakes it',
  never: 'only "resume" wakes it',
} as const;

/** When and how a sandbox rests. */
export function restText({ rest }: SandboxView): string {
  const { afterMs, action, wakeOn, expireAfterMs } = rest;
  if (afterMs === null) return 'never by itself';
  const words = { pause: 'paused', stop: 'stopped', delete: 'deleted' } as const;
  const expires = expireAfterMs === null ? '' : `, deleted after ${formatDuration(expireAfterMs)} of rest`;
  return `${words[action]} after ${formatDuration(afterMs)} without work; ${wakeWords[wakeOn]}${expires}`;
}
