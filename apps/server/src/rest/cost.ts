import type { PricesConfig } from '@skerry/protocol';
import type { RestLevel } from './facts.ts';

/** Nobody set a price. */
export const noPrices: PricesConfig = {
  currency: 'EUR',
  hour: { awake: 0, frozen: 0, paused: 0, stopped: 0 },
  cpuHour: 0,
};

/** Time at each level and CPU time, in `ms`. */
export interface UsageMs {
  readonly levels: Readonly<Record<RestLevel, number>>;
  readonly cpuMs: number;
}

const hourMs = 3_600_000;

/** What a usage costs, to six decimals. */
export function costOf(usage: UsageMs, prices: PricesConfig): number {
  const levels = Object.entries(usage.levels) as [RestLevel, number][];
  const amount = levels.reduce((sum, [level, ms]) => sum + (ms / hourMs) * prices.hour[level], 0);
  return Math.round((amount + (usage.cpuMs / hourMs) * prices.cpuHour) * 1e6) / 1e6;
}

/** The prices in words. */
export function wordsOfPrices({ currency, hour, cpuHour }: PricesConfig): string {
  const parts = [
    ...(Object.entries(hour) as [RestLevel, number][]).map(([level, price]) => [`hour ${level}`, price] as const),
    ['hour of CPU time', cpuHour] as const,
  ].filter(([, price]) => price !== 0);
  if (parts.length === 0) return 'No prices are configured: everything costs 0.';
  return `${parts.map(([what, price]) => `${price} ${currency} for each ${what}`).join(', ')}; the rest is free.`;
}
