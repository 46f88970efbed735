import type { Activity } from '@skerry/sdk';
import { paint } from './print.ts';
import { wakeWords } from './resume.ts';
import { tableLines } from './table.ts';
import { formatAge, formatDuration } from './units.ts';

const actions: Readonly<Record<Activity['next'][number]['action'], string>> = {
  freeze: 'freezes in RAM',
  pause: 'pauses to disk',
  stop: 'stops',
  delete: 'is deleted',
};

/** Why a sandbox is awake or rests, in a few lines for a person. */
export function activityLines(name: string, activity: Activity, nowMs: number = Date.now()): string[] {
  const { level, summary, signals, next, holds, usage } = activity;
  const awake = level === 'awake';
  const lines = [`${paint(name, 'bold')}  ${paint(level, awake ? 'green' : 'dim')}`, `  ${summary}`];
  const seen = signals.filter((signal) => (awake && signal.active) || signal.lastAt !== undefined);
  if (seen.length > 0) {
    const works = awake && seen.some((signal) => signal.active);
    lines.push('', works ? 'What works in it:' : 'What worked in it last:');
    const rows = seen.map(({ signal, active, lastAt, detail }) => [
      awake && active ? paint('●', 'green') : paint('○', 'dim'),
      signal,
      awake && active ? 'now' : lastAt === undefined ? '' : `${formatAge(lastAt, nowMs)} ago`,
      detail,
    ]);
    lines.push(...indented(rows));
  }
  if (next.length > 0) {
    lines.push('', 'What happens next:');
    lines.push(...indented(next.map(({ action, at, why }) => [actions[action], when(at, nowMs), why])));
  }
  if (holds.length > 0) {
    lines.push('', 'Held awake:');
    lines.push(...indented(holds.map(({ id, reason, expiresAt }) => [id, `for ${until(expiresAt, nowMs)}`, reason])));
  }
  lines.push('', awake ? `Once it rests, ${wakeWords[activity.wakeOn]}.` : `Wakes it: ${activity.wakes}`);
  const spent = [
    ['awake', usage.awakeSeconds],
    ['frozen', usage.frozenSeconds],
    ['paused', usage.pausedSeconds],
    ['stopped', usage.stoppedSeconds],
  ] as const;
  const times = spent.filter(([, seconds]) => seconds > 0).map(([word, seconds]) => `${word} ${duration(seconds)}`);
  const { amount, currency, prices } = usage.cost;
  lines.push(
    `So far: ${[...times, `${duration(usage.cpuSeconds)} of CPU`].join(', ')}.`,
    amount === 0
      ? `Cost: 0 ${currency}. ${paint(prices, 'dim')}`
      : `Cost: ${amount.toFixed(amount >= 1 ? 2 : 4)} ${currency} ${paint(`(${prices})`, 'dim')}`,
  );
  return lines;
}

function indented(rows: readonly (readonly string[])[]): string[] {
  const [first = [], ...others] = rows;
  return tableLines(first, others).map((line) => `  ${line}`);
}

function when(at: string | undefined, nowMs: number): string {
  return at === undefined ? 'not yet' : `in ${until(at, nowMs)}`;
}

function until(at: string, nowMs: number): string {
  return formatDuration(Math.max(0, Date.parse(at) - nowMs));
}

function duration(seconds: number): string {
  return formatDuration(seconds * 1000);
}
