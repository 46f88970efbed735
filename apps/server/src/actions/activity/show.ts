import type { Activity } from '@skerry/protocol';
import type { HoldRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { costOf, noPrices, wordsOfPrices } from '../../rest/cost.ts';
import { considerRest } from '../../rest/decide.ts';
import { summaryOf, wakesOf, whyOf } from '../../rest/explain.ts';
import { findSandbox } from '../sandbox/find.ts';
import { refuseDeleted } from '../sandbox/refuse-deleted.ts';
import { showHold } from '../hold/show.ts';

const iso = (ms: number): string => new Date(ms).toISOString();
const seconds = (ms: number): number => Math.round(ms / 100) / 10;

/** Why a sandbox is awake or not, what comes next, what would wake it, and what it has cost. Asking is no activity. */
export async function showActivity(core: Core, caller: Caller, idOrName: string): Promise<Activity> {
  const found = await findSandbox(core, caller, idOrName);
  refuseDeleted(found);
  const nowMs = Date.now();
  const { engines } = await core.facts.get();
  const engine = engines.find(({ name }) => name === found.engine?.name);
  core.activities.follow(found, nowMs);
  const look = core.activities.look(found.id, nowMs, engine?.freeze === true);
  if (look === undefined) throw new Error(`Sandbox "${found.id}" was followed and is not known`);
  const { facts, levels, record } = look;
  const outlook = considerRest(facts);
  const boots = await core.store.boots.listOf(found.id);
  const cpuMs = boots.reduce((sum, { usage }) => sum + (usage?.cpuMs ?? 0), look.bootCpuMs);
  const prices = core.settings.prices ?? noPrices;
  return {
    level: facts.level,
    summary: summaryOf(facts, outlook),
    signals: outlook.signals.map(({ signal, active, lastAtMs, detail }) => ({
      signal,
      active,
      ...(lastAtMs === null ? {} : { lastAt: iso(lastAtMs) }),
      detail,
    })),
    next: outlook.next.map((rule) => ({
      rule: rule.rule,
      action: rule.action,
      ...(rule.atMs === undefined ? {} : { at: iso(rule.atMs) }),
      why: whyOf(rule, facts),
    })),
    wakeOn: record.rest.wakeOn,
    wakes: wakesOf(record.rest, facts.level, record.desiredReason === 'rest'),
    holds: look.holds.map((hold: HoldRecord) => showHold(hold)),
    usage: {
      awakeSeconds: seconds(levels.awake),
      frozenSeconds: seconds(levels.frozen),
      pausedSeconds: seconds(levels.paused),
      stoppedSeconds: seconds(levels.stopped),
      cpuSeconds: seconds(cpuMs),
      cost: { amount: costOf({ levels, cpuMs }, prices), currency: prices.currency, prices: wordsOfPrices(prices) },
    },
  };
}
