import { formatDuration } from '@skerry/kit';
import type { RestPolicy } from '@skerry/model';
import type { NextRule, RestOutlook } from './decide.ts';
import type { RestFacts } from './facts.ts';

const doing = { freeze: 'frozen in RAM', pause: 'paused', stop: 'stopped', delete: 'deleted' } as const;

const blocks = {
  work: 'Not while something works in it',
  no_gateway: 'Not while the gateway is out of sight: requests could be under way',
  no_counters: 'Not before the host has said what it computes',
  open_requests: 'Not while requests are open',
  failed_before: 'It failed before and is tried again then',
} as const;

/** Why a rule applies when it does. */
export function whyOf({ rule, action, blockedBy }: NextRule, { policy, level }: RestFacts): string {
  if (rule === 'timeout') return 'The timeout that was set for it; nothing moves it';
  if (blockedBy !== undefined) return blocks[blockedBy];
  if (rule === 'expire') return `Deleted after ${formatDuration(policy.expireAfterMs ?? 0)} without use`;
  if (rule === 'freeze') return 'Nothing works in it; in RAM it goes on at once when it is needed';
  const after = `${doing[action]} after ${formatDuration(policy.afterMs ?? 0)} without work`;
  return `${after.charAt(0).toUpperCase()}${after.slice(1)}${level === 'frozen' ? ', earlier when the host is short of memory' : ''}`;
}

/** What would wake it, in words. */
export function wakesOf({ wakeOn, afterMs }: RestPolicy, level: RestFacts['level'], byRest: boolean): string {
  if (level === 'awake') return 'It is awake.';
  if (level === 'frozen') return 'Any request to it, and any call that needs it: it goes on at once.';
  if (level === 'stopped' && !byRest) return 'Only a start: somebody or something stopped it, not its rest rule.';
  const again = afterMs === null ? '' : ' It rests again when nothing works in it.';
  if (wakeOn === 'request') return `A request to one of its ports, and any call of the API that needs it.${again}`;
  if (wakeOn === 'api') return `A call of the API that needs it; requests to its ports do not.${again}`;
  return `Only ${level === 'paused' ? 'a resume' : 'a start'}: it has wakeOn "never".`;
}

/** One sentence or two for a person: why it is as it is, and what comes next. */
export function summaryOf(facts: RestFacts, { signals, next, workAtMs }: RestOutlook): string {
  const { level, nowMs, policy } = facts;
  const [soonest] = next;
  const then =
    soonest?.atMs === undefined
      ? ''
      : ` It is ${doing[soonest.action]} ${soonest.atMs <= nowMs ? 'now' : `in ${formatDuration(soonest.atMs - nowMs)}`}${soonest.rule === 'timeout' ? ' by its timeout' : ''}.`;
  if (level === 'paused' || level === 'stopped')
    return `It is ${level}${facts.restingSinceMs === null ? '' : ` since ${formatDuration(Math.max(0, nowMs - facts.restingSinceMs))}`}.${then}`;
  const active = signals.filter((reading) => reading.active);
  if (level === 'frozen') return `It rests in RAM: nothing works in it.${then}`;
  if (active.length > 0)
    return `It is awake: ${active.map(({ detail }) => `${detail.charAt(0).toLowerCase()}${detail.slice(1)}`).join('; ')}.${then}`;
  const idle = workAtMs === null ? '' : ` for ${formatDuration(Math.max(0, nowMs - workAtMs))}`;
  const never = policy.afterMs === null ? ' It never rests by itself.' : '';
  const rest = next.find((rule) => rule.rule === 'rest');
  const blocked = rest?.blockedBy === undefined ? '' : ` ${blocks[rest.blockedBy]}.`;
  return `It is awake, and nothing has worked in it${idle}.${never}${blocked}${then}`;
}
