import type { BootActivity, BootId, HoldId, SandboxId } from '@skerry/model';
import type { SandboxTraffic } from '@skerry/protocol';
import type { ActivityRecord, HoldRecord, SandboxRecord, Store } from '@skerry/store';
import { countUntil, levelOf, moveTo, newAccount, takeUp } from './account.ts';
import { busyCpuShare, busyNetworkRate, type RestFacts, type RestLevel, sampleWindowMs, windowOf } from './facts.ts';
import { readSignals } from './signals.ts';
import { Samples } from './samples.ts';

/** What a sandbox that runs, and in which nothing new happens, is written at most every so many `ms`. */
const quietFlushMs = 60_000;

interface Entry {
  record: SandboxRecord;
  account: ActivityRecord;
  /** Whether the boot of the account is known to have lived until now. */
  confirmed: boolean;
  open: { readonly openRequests: number; readonly attached: number };
  readonly samples: Samples;
  holds: readonly HoldRecord[];
  /** When a rest that failed may be tried again, and how often it failed. */
  notBeforeMs: number | null;
  failures: number;
  /** Whether the stored account is behind by more than the passing of time. */
  dirty: boolean;
  writtenAtMs: number;
}

/** One look at a sandbox: its newest record and all that decides about its rest. */
export interface Look {
  readonly record: SandboxRecord;
  readonly facts: RestFacts;
  /** Time at each level until now, in `ms`. */
  readonly levels: Readonly<Record<RestLevel, number>>;
  /** CPU time of the boot that runs, as last seen, in `ms`. */
  readonly bootCpuMs: number;
  readonly holds: readonly HoldRecord[];
}

/**
 * When something last worked in each sandbox, and how long it has been at each level: kept in memory, written at every change of level and now
 * and then, and taken up again after a restart. Times given in are Unix `ms`.
 */
export class Activities {
  readonly #store: Store;
  readonly #entries = new Map<SandboxId, Entry>();
  /** Whether a gateway is connected that tells what comes through the door. */
  gatewayInSight = false;
  /** Whether a sandbox has gone to another level since the last flush. */
  levelChanged = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Reads everything that is there. To be called once, and again now and then for what other processes wrote. */
  async load(nowMs: number): Promise<void> {
    const [records, accounts, holds] = [
      await this.#store.sandboxes.listAllLive(),
      new Map((await this.#store.activity.listAll()).map((account) => [account.sandboxId, account])),
      await this.#store.holds.listOpen(nowMs),
    ];
    for (const record of records) {
      if (this.#entries.has(record.id)) {
        this.follow(record, nowMs);
        continue;
      }
      const stored = accounts.get(record.id);
      const taken =
        stored === undefined
          ? { account: newAccount(record, nowMs), confirmed: record.bootId === null }
          : takeUp(stored, record, nowMs);
      this.#insert(record, taken.account, taken.confirmed, stored !== taken.account);
    }
    for (const [id, entry] of this.#entries) entry.holds = holds.filter(({ sandboxId }) => sandboxId === id);
  }

  /** Takes in a record that was just written. */
  follow(record: SandboxRecord, nowMs: number): void {
    const entry = this.#entries.get(record.id);
    if (record.observed === 'gone') {
      this.#entries.delete(record.id);
      return;
    }
    if (entry === undefined) {
      this.#insert(record, newAccount(record, nowMs), true, true);
      this.levelChanged = true;
      return;
    }
    if (record.version < entry.record.version) return;
    const before = entry.account;
    entry.record = record;
    if (levelOf(record) === before.level && record.bootId === before.bootId) return;
    if (entry.confirmed) entry.account = moveTo(countUntil(before, nowMs), record, nowMs);
    else ({ account: entry.account, confirmed: entry.confirmed } = takeUp(before, record, nowMs));
    if (record.bootId !== before.bootId) {
      entry.confirmed = true;
      entry.open = { openRequests: 0, attached: 0 };
      entry.samples.clear();
    }
    entry.dirty = true;
    if (entry.account.level !== before.level) this.levelChanged = true;
  }

  /** Takes in what the gateway saw. */
  report(items: readonly SandboxTraffic[], nowMs: number): void {
    for (const item of items) {
      const entry = this.#entries.get(item.sandboxId);
      if (entry === undefined || entry.record.bootId !== item.bootId) continue;
      this.#noteOpen(entry, nowMs);
      const opened = item.openRequests > entry.open.openRequests;
      entry.open = { openRequests: item.openRequests, attached: Math.min(item.attached, item.openRequests) };
      const requestAtMs = item.lastRequestAtMs ?? (opened || item.requests > 0 ? nowMs : undefined);
      this.#note(entry, {
        lastRequestAtMs: latest(entry.account.lastRequestAtMs, requestAtMs, nowMs),
        lastBytesAtMs: latest(entry.account.lastBytesAtMs, item.lastBytesAtMs, nowMs),
      });
      this.#noteOpen(entry, nowMs);
    }
  }

  /** A call that needs the sandbox has come. */
  touch(id: SandboxId, nowMs: number): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined)
      this.#note(entry, { lastRequestAtMs: latest(entry.account.lastRequestAtMs, nowMs, nowMs) });
  }

  /** No gateway is connected any more: what was open then is not known. */
  loseGateway(nowMs: number): void {
    this.gatewayInSight = false;
    for (const entry of this.#entries.values()) {
      this.#noteOpen(entry, nowMs);
      entry.open = { openRequests: 0, attached: 0 };
    }
  }

  /** Takes in the host's counters. */
  sample(samples: readonly BootActivity[]): void {
    const byBoot = new Map<BootId, BootActivity>(samples.map((sample) => [sample.bootId, sample]));
    for (const entry of this.#entries.values()) {
      const sample = entry.record.bootId === null ? undefined : byBoot.get(entry.record.bootId);
      if (sample === undefined) continue;
      entry.confirmed = true;
      entry.samples.add(sample);
      const { cpuShare = 0, networkRate = 0, atMs } = this.#sampled(entry) ?? { atMs: sample.atMs };
      const busy = {
        ...(cpuShare > busyCpuShare ? { lastCpuAtMs: latest(entry.account.lastCpuAtMs, atMs, atMs) } : {}),
        ...(networkRate > busyNetworkRate
          ? { lastNetworkAtMs: latest(entry.account.lastNetworkAtMs, atMs, atMs) }
          : {}),
      };
      this.#note(entry, busy);
    }
  }

  /** Since when a sandbox is at its level. */
  levelSinceMs(id: SandboxId): number {
    return this.#entries.get(id)?.account.levelSinceMs ?? 0;
  }

  addHold(hold: HoldRecord): void {
    const entry = this.#entries.get(hold.sandboxId);
    if (entry !== undefined) entry.holds = [...entry.holds, hold];
  }

  /** Ends one hold of a sandbox, or all. */
  dropHolds(sandboxId: SandboxId, id: HoldId | undefined, nowMs: number): void {
    const entry = this.#entries.get(sandboxId);
    if (entry === undefined) return;
    const kept = entry.holds.filter((hold) => id !== undefined && hold.id !== id);
    if (kept.length < entry.holds.length)
      this.#note(entry, { lastHoldAtMs: latest(entry.account.lastHoldAtMs, nowMs, nowMs) });
    entry.holds = kept;
  }

  /** A rest was asked for; when the sandbox does not come to it, it is tried again later and later. */
  noteRest(id: SandboxId, nowMs: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.failures++;
    entry.notBeforeMs = nowMs + Math.min(3_600_000, 30_000 * 2 ** entry.failures);
  }

  /** Shortest window that a sandbox which may rest asks for, in `ms`; `undefined` when none may. */
  get shortestWindowMs(): number | undefined {
    let shortest: number | undefined;
    for (const { record, account } of this.#entries.values())
      if (account.level === 'awake' && record.rest.afterMs !== null)
        shortest = Math.min(shortest ?? sampleWindowMs, windowOf(record.rest.afterMs));
    return shortest;
  }

  /** The newest record of every sandbox that is not gone. */
  get records(): readonly SandboxRecord[] {
    return [...this.#entries.values()].map(({ record }) => record);
  }

  /** Looks at one sandbox; `undefined` for one that is gone. */
  look(id: SandboxId, nowMs: number, canFreeze: boolean): Look | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    const ended = entry.holds.filter(({ expiresAtMs }) => expiresAtMs <= nowMs);
    for (const { expiresAtMs } of ended)
      this.#note(entry, { lastHoldAtMs: latest(entry.account.lastHoldAtMs, expiresAtMs, nowMs) });
    if (ended.length > 0) entry.holds = entry.holds.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
    const { record, account, open, notBeforeMs } = entry;
    const level = levelOf(record);
    const runs = level === 'awake' || level === 'frozen';
    if (level === 'paused' || level === 'stopped') {
      entry.notBeforeMs = null;
      entry.failures = 0;
    }
    const startedAtMs = latest(account.wokenAtMs, record.startedAtMs ?? undefined, nowMs);
    const counted = entry.confirmed ? countUntil(account, nowMs) : account;
    return {
      record,
      facts: {
        nowMs,
        level,
        policy: record.rest,
        startedAtMs: runs ? startedAtMs : null,
        traffic: {
          ...open,
          lastRequestAtMs: account.lastRequestAtMs,
          lastBytesAtMs: account.lastBytesAtMs,
          lastAttachedAtMs: account.lastAttachedAtMs,
          lastStreamAtMs: account.lastStreamAtMs,
        },
        seesTraffic: this.gatewayInSight,
        sample: this.#sampled(entry),
        lastCpuAtMs: account.lastCpuAtMs,
        lastNetworkAtMs: account.lastNetworkAtMs,
        holds: entry.holds,
        lastHoldAtMs: account.lastHoldAtMs,
        timeoutAtMs: record.timeoutAtMs,
        onTimeout: record.onTimeout,
        restingSinceMs: runs ? null : account.levelSinceMs,
        canFreeze,
        notBeforeMs,
      },
      levels: {
        awake: counted.awakeMs,
        frozen: counted.frozenMs,
        paused: counted.pausedMs,
        stopped: counted.stoppedMs,
      },
      bootCpuMs: runs ? entry.samples.cpuMs : 0,
      holds: entry.holds,
    };
  }

  /** Writes what is behind, in one transaction. What only rests is written at its change of level and not again. */
  async flush(nowMs: number): Promise<void> {
    this.levelChanged = false;
    const behind = [...this.#entries.values()].filter(({ dirty, account, confirmed, writtenAtMs }) => {
      const runs = account.level === 'awake' || account.level === 'frozen';
      return dirty || (runs && confirmed && nowMs - writtenAtMs >= quietFlushMs);
    });
    if (behind.length === 0) return;
    for (const entry of behind) {
      if (entry.confirmed) entry.account = countUntil(entry.account, nowMs);
      entry.dirty = false;
      entry.writtenAtMs = nowMs;
    }
    try {
      await this.#store.transaction((nouns) => nouns.activity.put(behind.map(({ account }) => account)));
    } catch (error) {
      for (const entry of behind) entry.dirty = true;
      throw error;
    }
  }

  #insert(record: SandboxRecord, account: ActivityRecord, confirmed: boolean, dirty: boolean): void {
    this.#entries.set(record.id, {
      record,
      account,
      confirmed,
      open: { openRequests: 0, attached: 0 },
      samples: new Samples(),
      holds: [],
      notBeforeMs: null,
      failures: 0,
      dirty,
      writtenAtMs: 0,
    });
  }

  #sampled(entry: Entry): RestFacts['sample'] {
    return entry.samples.facts(windowOf(entry.record.rest.afterMs));
  }

  /** Remembers that what is open counted until now. */
  #noteOpen(entry: Entry, nowMs: number): void {
    if (entry.open.openRequests === 0) return;
    const look = this.look(entry.record.id, nowMs, false);
    if (look === undefined) return;
    const readings = readSignals(look.facts);
    const at = (signal: string): number | null => readings.find((each) => each.signal === signal)?.lastAtMs ?? null;
    this.#note(entry, { lastAttachedAtMs: at('attached'), lastStreamAtMs: at('streams') });
  }

  #note(entry: Entry, seen: Partial<ActivityRecord>): void {
    const changed = (Object.entries(seen) as [keyof ActivityRecord, unknown][]).some(
      ([key, value]) => entry.account[key] !== value,
    );
    if (!changed) return;
    entry.account = { ...entry.account, ...seen };
    entry.dirty = true;
  }
}

/** The later of two times, never in the future. */
function latest(known: number | null, seen: number | undefined, nowMs: number): number | null {
  return seen === undefined ? known : Math.max(known ?? 0, Math.min(seen, nowMs));
}
