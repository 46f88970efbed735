const durations: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Record<string, number> = {
  KiB: 1 / 1024,
  MiB: 1,
  GiB: 1024,
  TiB: 1024 * 1024,
  K: 1 / 1024,
  M: 1,
  G: 1024,
  T: 1024 * 1024,
};

/** Reads a duration such as `90s`, `10m`, `1h30m`, `250ms` into `ms`; `undefined` when it is none. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    total += Number(amount) * (durations[unit ?? ''] ?? 0);
  return Math.round(total);
}

/** Reads a size such as `512MiB`, `1GiB`, `2G` or plain MiB into whole `MiB`; `undefined` when it is none. */
export function parseSizeMiB(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(KiB|MiB|GiB|TiB|K|M|G|T)?$/.exec(text);
  if (match === null) return undefined;
  const mebibytes = Number(match[1]) * (sizes[match[2] ?? 'MiB'] ?? 1);
  return Number.isInteger(mebibytes) ? mebibytes : Math.ceil(mebibytes);
}

/** Writes a duration for a person: `850 ms`, `12.3 s`, `4 min 10 s`, `3 h 20 min`, `2 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** Writes a number of bytes for a person: `512 B`, `1.4 MiB`. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (amount < 1024) return `${unit === 'B' ? amount : amount.toFixed(1)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TiB`;
}
