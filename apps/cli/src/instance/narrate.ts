import { paint, printNote } from '../output/print.ts';
import { formatDuration } from '../output/units.ts';
import type { SupervisorEvent } from './supervisor.ts';

/** What happens to the instance, as a line for the person at the terminal. */
export function narrate(event: SupervisorEvent): void {
  const line = lineOf(event);
  if (line !== undefined) printNote(line);
}

export function lineOf(event: SupervisorEvent): string | undefined {
  switch (event.event) {
    case 'died':
      return `${paint('!', 'yellow', process.stderr)} The ${event.program} ${event.how}; it is started again in ${formatDuration(event.againInMs)}`;
    case 'serves':
      return `${paint('✓', 'green', process.stderr)} The ${event.program} serves again`;
    case 'resting':
      return 'Bringing the sandboxes to rest (once more ends at once)…';
    case 'rested': {
      const parts = [
        (event.paused ?? []).length > 0 ? `paused: ${event.paused?.join(', ')}` : '',
        event.rested.length > 0 ? `stopped: ${event.rested.join(', ')}` : '',
        event.deleted.length > 0 ? `deleted: ${event.deleted.join(', ')}` : '',
        ...event.failed.map(({ name, message }) => `"${name}" did not come to rest: ${message}`),
      ].filter((part) => part !== '');
      return parts.length === 0 ? undefined : `  ${parts.join('; ')}`;
    }
    case 'failed':
      return `${paint('✗', 'red', process.stderr)} ${event.message}${event.hint === undefined ? '' : `\n  ${event.hint}`}`;
    case 'down':
      return event.hard ? 'Skerry has ended.' : 'Skerry is down. "up" brings back what was running.';
    default:
      return undefined;
  }
}
