import { usageError } from './failure.ts';

const durations: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Readonly<Record<string, number>> = { MiB: 1, M: 1, GiB: 1024, G: 1024, TiB: 1024 * 1024, T: 1024 * 1024 };

/** Reads `500ms`, `90s`, `10m`, `2h`, `30d`, `1h30m` into `ms`. */
export function durationOption(text: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text))
    throw usageError(`"${text}" is no duration`, 'Write a number and a unit, such as 500ms, 90s, 10m, 2h or 30d.');
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    total += Number(amount) * (durations[unit ?? ''] ?? 0);
  return Math.round(total);
}

/** Reads `512MiB`, `1GiB` or plain MiB into `MiB`. */
export function sizeOption(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(MiB|GiB|TiB|M|G|T)?$/.exec(text);
  if (match === null)
    throw usageError(
      `"${text}" is no size`,
      'Write a number and a unit, such as 512MiB or 1GiB; plain numbers are MiB.',
    );
  return Math.ceil(Number(match[1]) * (sizes[match[2] ?? 'MiB'] ?? 1));
}

/** Reads a process id. */
export function processIdOf(text: string, sandbox: string): number {
  const pid = Number(text);
  if (!Number.isInteger(pid) || pid < 1) throw usageError(`"${text}" is no process id`, `See "skerry ps ${sandbox}".`);
  return pid;
}

/** Reads a duration, or `never`. */
export function durationOrNeverOption(text: string): number | 'never' {
  return text === 'never' ? text : durationOption(text);
}

/** Reads a whole number of at least one. */
export function countOption(text: string): number {
  const count = numberOption(text);
  if (!Number.isInteger(count) || count < 1) throw usageError(`"${text}" is no count`, 'Give a whole number from 1.');
  return count;
}

export function numberOption(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw usageError(`"${text}" is no number`);
  return value;
}

/** Collects `--env K=V` and the like. */
export function pairOption(text: string, before: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw usageError(`"${text}" is no KEY=VALUE`, 'Write KEY=VALUE; the value may be empty.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `850 ms`, `12.3 s`, `4 min 10 s`, `3 h 20 min`, `2 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** How long ago, in one unit: `12 s`, `5 min`, `3 h`, `2 d`. */
export function formatAge(at: string, nowMs: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(at)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `0 B`, `912 B`, `1.2 KiB`, `34 MiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 || amount >= 10 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

export function formatMiB(mebibytes: number): string {
  if (mebibytes < 1024) return `${mebibytes} MiB`;
  const gibibytes = mebibytes / 1024;
  return `${Number.isInteger(gibibytes) ? gibibytes : gibibytes.toFixed(1)} GiB`;
}
