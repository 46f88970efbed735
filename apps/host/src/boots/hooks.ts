import type { Log } from '@skerry/kit';
import type { GuestHook } from '../guest/guest-control.ts';

/** Says what the sandbox's own hooks did. A hook that fails never fails what it belongs to. */
export function logHooks(log: Log, hooks: readonly GuestHook[] = []): void {
  for (const { path, exitCode, durationMs, output } of hooks)
    if (exitCode === 0) log.debug('A hook ran', { path, durationMs });
    else log.warn('A hook failed', { path, exitCode: exitCode ?? 'killed at its deadline', durationMs, output });
}
