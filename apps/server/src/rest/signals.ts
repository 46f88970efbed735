import { formatBytes, formatDuration } from '@skerry/kit';
import type { ActivitySignal } from '@skerry/protocol';
import {
  busyCpuShare,
  busyNetworkRate,
  openRequestCapMs,
  type RestFacts,
  seesCounters,
  type TrafficFacts,
  windowOf,
} from './facts.ts';

/** One kind of work, when it was last seen, and whether it goes on. */
export interface SignalReading {
  readonly signal: ActivitySignal;
  /** Whether it keeps the sandbox awake now. */
  readonly active: boolean;
  readonly lastAtMs: number | null;
  readonly detail: string;
}

/** Reads every signal. What goes on was last seen now; a request is seen when it comes. */
export function readSignals(facts: RestFacts): readonly SignalReading[] {
  const readings = [attached(facts), streams(facts), cpu(facts), network(facts), hold(facts)];
  const { startedAtMs, nowMs } = facts;
  const start: SignalReading = {
    signal: 'start',
    active: false,
    lastAtMs: startedAtMs,
    detail: startedAtMs === null ? 'It does not run' : `It was started or woken ${ago(nowMs, startedAtMs)}`,
  };
  return [
    requests(facts),
    ...readings.map((reading) => (reading.active ? { ...reading, lastAtMs: nowMs } : reading)),
    start,
  ];
}

/** When something last worked in it; `null` when nothing ever did. */
export function lastWorkAtMs(readings: readonly SignalReading[]): number | null {
  const times = readings.flatMap(({ lastAtMs }) => (lastAtMs === null ? [] : [lastAtMs]));
  return times.length === 0 ? null : Math.max(...times);
}

function requests({ traffic, policy, nowMs }: RestFacts): SignalReading {
  const signal = 'requests';
  const at = traffic.lastRequestAtMs;
  if (at === null) return { signal, active: false, lastAtMs: null, detail: 'No request has come to it' };
  // A request is an instant: what it started is seen by the other signals. It counts as work of now for as long as counters do.
  const active = nowMs - at < windowOf(policy.afterMs);
  return { signal, active, lastAtMs: at, detail: `The last request came ${ago(nowMs, at)}` };
}

function attached(facts: RestFacts): SignalReading {
  const signal = 'attached';
  const { traffic } = facts;
  const count = traffic.attached;
  const last = traffic.lastAttachedAtMs;
  if (count === 0)
    return { signal, active: false, lastAtMs: last, detail: 'No client is attached to a command or terminal' };
  const what = count === 1 ? 'A client is attached' : `${count} clients are attached`;
  return { signal, ...openUntilCap(facts, traffic, last, `${what} to commands or terminals`) };
}

function streams(facts: RestFacts): SignalReading {
  const signal = 'streams';
  const { traffic } = facts;
  const count = Math.max(0, traffic.openRequests - traffic.attached);
  const last = traffic.lastStreamAtMs;
  if (count === 0) return { signal, active: false, lastAtMs: last, detail: 'No other request is open' };
  return {
    signal,
    ...openUntilCap(facts, traffic, last, count === 1 ? 'A request is open' : `${count} requests are open`),
  };
}

/** An open request works until nothing has moved on any for the cap. */
function openUntilCap(
  { nowMs, startedAtMs }: RestFacts,
  traffic: TrafficFacts,
  lastCountedAtMs: number | null,
  what: string,
): Omit<SignalReading, 'signal'> {
  const movedAtMs = Math.max(traffic.lastBytesAtMs ?? 0, traffic.lastRequestAtMs ?? 0, startedAtMs ?? 0);
  const endsAtMs = movedAtMs + openRequestCapMs;
  const moved = `bytes last moved ${ago(nowMs, movedAtMs)}`;
  if (nowMs < endsAtMs) return { active: true, lastAtMs: nowMs, detail: `${what}; ${moved}` };
  const cap = formatDuration(openRequestCapMs);
  return {
    active: false,
    lastAtMs: Math.max(lastCountedAtMs ?? 0, endsAtMs),
    detail: `${what}, and stopped counting: ${moved}, and open requests count for ${cap} without any`,
  };
}

function cpu(facts: RestFacts): SignalReading {
  const signal = 'cpu';
  const { sample, lastCpuAtMs: lastAtMs } = facts;
  if (sample?.cpuShare === undefined || !seesCounters(facts))
    return { signal, active: false, lastAtMs, detail: 'Its CPU time is not known now' };
  const active = sample.cpuShare > busyCpuShare;
  const share = `${(sample.cpuShare * 100).toFixed(1)} % of a core`;
  return { signal, active, lastAtMs, detail: `It uses ${share}; more than ${busyCpuShare * 100} % counts` };
}

function network(facts: RestFacts): SignalReading {
  const signal = 'network';
  const { sample, lastNetworkAtMs: lastAtMs } = facts;
  if (sample?.networkRate === undefined || !seesCounters(facts))
    return { signal, active: false, lastAtMs, detail: 'Its traffic is not known now' };
  const active = sample.networkRate > busyNetworkRate;
  const rate = `${formatBytes(Math.round(sample.networkRate))}/s`;
  return { signal, active, lastAtMs, detail: `It moves ${rate}; more than ${formatBytes(busyNetworkRate)}/s counts` };
}

function hold({ holds, lastHoldAtMs, nowMs }: RestFacts): SignalReading {
  const signal = 'hold';
  const open = holds.filter(({ expiresAtMs }) => expiresAtMs > nowMs).sort((a, b) => b.expiresAtMs - a.expiresAtMs);
  const [longest] = open;
  if (longest !== undefined) {
    const others = open.length === 1 ? '' : `, and ${open.length - 1} more`;
    const left = formatDuration(longest.expiresAtMs - nowMs);
    return { signal, active: true, lastAtMs: nowMs, detail: `Held for another ${left}: ${longest.reason}${others}` };
  }
  const ended = [lastHoldAtMs ?? 0, ...holds.map(({ expiresAtMs }) => expiresAtMs)];
  const lastAtMs = Math.max(...ended);
  return { signal, active: false, lastAtMs: lastAtMs === 0 ? null : lastAtMs, detail: 'Nobody holds it' };
}

function ago(nowMs: number, atMs: number): string {
  return `${formatDuration(Math.max(0, nowMs - atMs))} ago`;
}
