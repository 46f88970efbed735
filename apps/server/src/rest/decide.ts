import type { RestAction } from '@skerry/model';
import { freezeAfterMs, type RestFacts, seesCounters } from './facts.ts';
import { lastWorkAtMs, readSignals, type SignalReading } from './signals.ts';

/** What is to be done with a sandbox now. */
export type RestDecision =
  | { readonly act: 'nothing' }
  | { readonly act: 'freeze' }
  | { readonly act: 'thaw' }
  /** `force`: requests are open, and none of them counts any more. */
  | { readonly act: 'rest'; readonly action: RestAction; readonly force: boolean }
  | { readonly act: 'expire' };

/** What happens by itself. */
export interface NextRule {
  readonly rule: 'freeze' | 'rest' | 'timeout' | 'expire';
  /** Of a timeout, what was set for it; it has the same words as a rest. */
  readonly action: 'freeze' | RestAction;
  /** Absent while something keeps it from being known. */
  readonly atMs?: number;
  /** Why not yet, when something else than time is in the way. */
  readonly blockedBy?: 'work' | 'no_gateway' | 'no_counters' | 'open_requests' | 'failed_before';
}

/** The decision, with all that it was made from. */
export interface RestOutlook {
  readonly decision: RestDecision;
  readonly signals: readonly SignalReading[];
  /** When something last worked in it. */
  readonly workAtMs: number | null;
  /** Soonest first; what has no time comes last. */
  readonly next: readonly NextRule[];
}

/**
 * Decides about one sandbox. It is never frozen or rested while a signal is active, nor while the gateway or the host's counters are out of
 * sight; without either it rests once `afterMs` has passed. A timeout is told of and left alone: it is kept elsewhere, whatever is decided here.
 */
export function considerRest(facts: RestFacts): RestOutlook {
  const signals = readSignals(facts);
  const workAtMs = lastWorkAtMs(signals);
  const working = signals.some(({ active }) => active);
  const rules: NextRule[] = [];
  let decision: RestDecision = { act: 'nothing' };
  if (facts.level === 'awake' || facts.level === 'frozen') {
    const awake = whileItRuns(facts, working, workAtMs);
    rules.push(...awake.rules);
    decision = awake.decision;
  } else {
    const expiry = whileItRests(facts, working);
    if (expiry !== undefined) {
      rules.push(expiry);
      if (expiry.atMs !== undefined && facts.nowMs >= expiry.atMs) decision = { act: 'expire' };
    }
  }
  if (facts.timeoutAtMs !== null) rules.push({ rule: 'timeout', action: facts.onTimeout, atMs: facts.timeoutAtMs });
  const soonest = (rule: NextRule): number => rule.atMs ?? Number.POSITIVE_INFINITY;
  return { decision, signals, workAtMs, next: rules.sort((a, b) => Math.sign(soonest(a) - soonest(b)) || 0) };
}

function whileItRuns(
  facts: RestFacts,
  working: boolean,
  workAtMs: number | null,
): { readonly decision: RestDecision; readonly rules: readonly NextRule[] } {
  const { policy, nowMs, level, traffic } = facts;
  const { afterMs, action } = policy;
  if (afterMs === null) return { decision: { act: level === 'frozen' ? 'thaw' : 'nothing' }, rules: [] };
  const freezes = facts.canFreeze && level === 'awake';
  const open = traffic.openRequests > 0;
  const blockedBy = blockOf(facts, working);
  const sinceMs = workAtMs ?? 0;
  const rest: NextRule = {
    rule: 'rest',
    action,
    ...(blockedBy === undefined ? { atMs: Math.max(sinceMs + afterMs, facts.notBeforeMs ?? 0) } : { blockedBy }),
    ...(blockedBy === undefined && (facts.notBeforeMs ?? 0) > sinceMs + afterMs ? { blockedBy: 'failed_before' } : {}),
  };
  const freezeBlock = blockedBy ?? (open ? 'open_requests' : undefined);
  const freeze: NextRule = {
    rule: 'freeze',
    action: 'freeze',
    ...(freezeBlock === undefined ? { atMs: sinceMs + freezeAfterMs(afterMs) } : { blockedBy: freezeBlock }),
  };
  const rules = freezes ? [freeze, rest] : [rest];
  if (working) return { decision: { act: level === 'frozen' ? 'thaw' : 'nothing' }, rules };
  if (rest.atMs !== undefined && nowMs >= rest.atMs) return { decision: { act: 'rest', action, force: open }, rules };
  if (freezes && freeze.atMs !== undefined && nowMs >= freeze.atMs) return { decision: { act: 'freeze' }, rules };
  return { decision: { act: 'nothing' }, rules };
}

function blockOf(facts: RestFacts, working: boolean): NextRule['blockedBy'] {
  if (working) return 'work';
  if (!facts.seesTraffic) return 'no_gateway';
  // What is frozen cannot compute: its counters stand still whether or not they are read.
  if (facts.level === 'awake' && !seesCounters(facts)) return 'no_counters';
  return undefined;
}

function whileItRests(facts: RestFacts, working: boolean): NextRule | undefined {
  const { expireAfterMs } = facts.policy;
  if (expireAfterMs === null || facts.restingSinceMs === null) return undefined;
  const rule = { rule: 'expire', action: 'delete' } as const;
  return working ? { ...rule, blockedBy: 'work' } : { ...rule, atMs: facts.restingSinceMs + expireAfterMs };
}
