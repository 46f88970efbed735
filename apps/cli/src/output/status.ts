import { paint } from './print.ts';

/** A status in the colour that says whether it is good. */
export function paintStatus(status: string): string {
  if (status === 'running') return paint(status, 'green');
  if (status === 'failed') return paint(status, 'red');
  if (status === 'stopped' || status === 'paused' || status === 'deleted') return paint(status, 'dim');
  return paint(status, 'yellow');
}
