import type { SandboxId } from '@skerry/model';
import { thaw } from '../drives/freeze.ts';
import type { Core } from '../core.ts';

const flushMs = 10_000;
const reloadMs = 60_000;
/** How much later than a change of level a sample must be to be set against it, in `ms`. */
const settledMs = 500;
/** How often the host's counters are read: when short rules ask for it, as a rule, and when everything is frozen. */
const sampleMs = { often: 1000, usual: 5000, seldom: 15_000 } as const;

const last = new WeakMap<Core, { sampledAtMs: number; flushedAtMs: number; loadedAtMs: number }>();

/** Takes up what is known of every sandbox's activity, and follows the changes from then on. */
export async function followActivity(core: Core): Promise<void> {
  // What changes while it is being read is taken in after it.
  const early: Parameters<Parameters<Core['changes']['subscribeAll']>[0]>[0][] = [];
  let take = (record: (typeof early)[number]): void => void early.push(record);
  const end = core.changes.subscribeAll((record) => take(record));
  core.ended.addEventListener('abort', end, { once: true });
  const nowMs = Date.now();
  await core.activities.load(nowMs);
  take = (record) => core.activities.follow(record, Date.now());
  for (const record of early) take(record);
  last.set(core, { sampledAtMs: 0, flushedAtMs: nowMs, loadedAtMs: nowMs });
}

/** Reads the host's counters, and writes what is known: at every change of level, and else every ten seconds at most. */
export async function keepActivity(core: Core): Promise<void> {
  const times = last.get(core);
  if (times === undefined) return;
  const nowMs = Date.now();
  if (core.boots.connected && nowMs - times.sampledAtMs >= samplePauseOf(core)) {
    times.sampledAtMs = nowMs;
    await sampleNow(core);
  }
  if (core.activities.levelChanged || nowMs - times.flushedAtMs >= flushMs) {
    times.flushedAtMs = nowMs;
    await core.activities.flush(Date.now());
  }
  if (nowMs - times.loadedAtMs >= reloadMs) {
    times.loadedAtMs = nowMs;
    await core.activities.load(Date.now());
    await core.store.holds.expire(nowMs - reloadMs);
  }
}

/** Reads the host's counters once. Where host and record disagree about who rests in RAM, the sandbox is thawed: that harms nobody. */
export async function sampleNow(core: Core): Promise<void> {
  const samples = await core.backend.sampleActivity(core.ended);
  core.activities.sample(samples);
  const frozen = new Map(samples.map((sample) => [sample.bootId, sample] as const));
  const disagreeing: SandboxId[] = [];
  for (const record of core.activities.records) {
    if (record.bootId === null || record.observed !== 'running' || core.drives.busy(record.id)) continue;
    const seen = frozen.get(record.bootId);
    // A sample from before the last change of level says nothing of it.
    if (seen === undefined || seen.atMs < core.activities.levelSinceMs(record.id) + settledMs) continue;
    if (seen.frozen !== record.frozen) disagreeing.push(record.id);
  }
  for (const id of disagreeing) {
    const record = await core.store.sandboxes.find(id);
    if (record === undefined || record.bootId === null) continue;
    const seen = frozen.get(record.bootId);
    if (seen === undefined || seen.frozen === record.frozen) continue;
    if (record.observed !== 'running' || core.freezing.busy(id) || core.drives.busy(id)) continue;
    core.log.warn(
      { sandbox: id, frozen: seen.frozen },
      'Record and host disagreed about a sandbox that rests in RAM; it goes on',
    );
    if (record.frozen) await thaw(core, id, 'found_awake');
    else await core.backend.thawBoot(record.bootId);
  }
}

function samplePauseOf(core: Core): number {
  const shortest = core.activities.shortestWindowMs;
  if (shortest === undefined) return sampleMs.seldom;
  return shortest < sampleMs.usual * 2 ? sampleMs.often : sampleMs.usual;
}
