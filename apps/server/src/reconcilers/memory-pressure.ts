import type { Core } from '../core.ts';
import { lastWorkAtMs, readSignals } from '../rest/signals.ts';
import { restNow } from './rest.ts';

/** Frozen sandboxes are paused while less than this share of the host's memory is left, or less than so many `MiB` on a large one. */
const leastShare = 0.1;
const mostMiB = 8192;

/**
 * Pauses frozen sandboxes to disk when the host is short of memory: the one that nobody used for the longest time first, one after the other, until
 * there is enough. Only those that would be paused by their own rule later.
 */
export async function pauseUnderPressure(core: Core, nowMs: number = Date.now()): Promise<void> {
  if (core.rest.resting || !core.boots.connected) return;
  const frozen = core.activities.records.filter(({ frozen: rests, rest }) => rests && rest.action === 'pause');
  if (frozen.length === 0) return;
  const { memoryMiB, memoryAvailableMiB } = await core.backend.describe(core.ended);
  if (memoryAvailableMiB === undefined || memoryAvailableMiB >= Math.min(mostMiB, memoryMiB * leastShare)) return;
  // What is being paused gives its memory back when it is done.
  if (core.activities.records.some(({ observed }) => observed === 'saving')) return;
  const byUse = frozen
    .filter(({ id }) => !core.drives.busy(id))
    .flatMap((record) => {
      const look = core.activities.look(record.id, nowMs, true);
      const { notBeforeMs = null } = look?.facts ?? {};
      if (look === undefined || (notBeforeMs !== null && notBeforeMs > nowMs)) return [];
      return [{ record, usedAtMs: lastWorkAtMs(readSignals(look.facts)) ?? 0 }];
    })
    .sort((a, b) => a.usedAtMs - b.usedAtMs);
  for (const { record } of byUse) {
    core.log.info(
      { sandbox: record.id, memoryAvailableMiB },
      'The host is short of memory: a frozen sandbox is paused',
    );
    if (await restNow(core, record, 'pause', nowMs)) return;
  }
}
