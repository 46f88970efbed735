import type { RestAction } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import { wantDeleted } from '../actions/sandbox/delete.ts';
import { wantPaused } from '../actions/sandbox/pause.ts';
import { wantStopped } from '../actions/sandbox/stop.ts';
import { type Amendment, amend } from '../amend.ts';
import type { Core } from '../core.ts';
import { freeze, thaw } from '../drives/freeze.ts';
import { considerRest, type RestDecision } from '../rest/decide.ts';

const graceMs = 5000;
const mostAtOnce = 16;

/** Looks at every sandbox and does what its rule says: freezes, rests, wakes what is held, deletes what nobody used for too long. */
export async function restIdle(core: Core, nowMs: number = Date.now()): Promise<void> {
  if (core.rest.resting) return;
  const engines = await freezingEngines(core);
  const due: [SandboxRecord, RestDecision][] = [];
  for (const { id, engine } of core.activities.records) {
    const look = core.activities.look(id, nowMs, engine !== null && engines.has(engine.name));
    if (look === undefined || core.drives.busy(id)) continue;
    const { decision } = considerRest(look.facts);
    if (decision.act !== 'nothing') due.push([look.record, decision]);
  }
  const worker = async (): Promise<void> => {
    for (let next = due.shift(); next !== undefined && !core.ended.aborted; next = due.shift()) {
      const [record, decision] = next;
      try {
        await act(core, record, decision, nowMs);
      } catch (error) {
        core.log.warn({ sandbox: record.id, act: decision.act, err: error }, 'A sandbox did not come to rest');
      }
    }
  };
  await Promise.all(Array.from({ length: mostAtOnce }, worker));
}

async function act(core: Core, record: SandboxRecord, decision: RestDecision, nowMs: number): Promise<void> {
  const { id, bootId } = record;
  switch (decision.act) {
    case 'nothing':
      return;
    case 'thaw':
      await thaw(core, id, 'work');
      return;
    case 'expire':
      await amend(core, id, (current) =>
        current.bootId === null && current.observed === 'ready' && current.desired !== 'running'
          ? wantDeleted(current, 'expired')
          : undefined,
      );
      void core.drives.wake(id, true);
      return;
    case 'freeze':
      if (bootId !== null && (await core.drains.drain(id, bootId, false)) === 'drained') await freeze(core, id, bootId);
      return;
    case 'rest':
      if (bootId === null) return;
      // What rests in RAM is drained: the gateway sends nothing before it has asked.
      if (!record.frozen && (await core.drains.drain(id, bootId, decision.force)) !== 'drained') return;
      await restNow(core, record, decision.action, nowMs);
  }
}

/** Asks for the rest itself, unless somebody has needed the sandbox since it was looked at. */
export async function restNow(core: Core, record: SandboxRecord, action: RestAction, nowMs: number): Promise<boolean> {
  let asked = false;
  await core.freezing.run(record.id, () =>
    amend(core, record.id, (current) => {
      asked = false;
      if (current.bootId !== record.bootId || current.desired !== 'running' || current.observed !== 'running')
        return undefined;
      if (current.bootId === null || current.frozen !== record.frozen) return undefined;
      if (!current.frozen && !core.drains.take(current.bootId)) return undefined;
      const amendment = amendmentOf(current, action);
      asked = amendment !== undefined;
      return amendment;
    }),
  );
  if (!asked) return false;
  core.activities.noteRest(record.id, nowMs);
  void core.drives.wake(record.id, true);
  return true;
}

function amendmentOf(current: SandboxRecord, action: RestAction): Amendment | undefined {
  if (action === 'pause') return wantPaused(current, 'rest', true);
  return action === 'stop' ? wantStopped(current, 'rest', graceMs) : wantDeleted(current, 'rest');
}

/** Names of the engines that can freeze. */
async function freezingEngines(core: Core): Promise<ReadonlySet<string>> {
  const description = await core.facts.get(core.ended);
  return new Set(description.engines.filter(({ freeze: can }) => can).map(({ name }) => name));
}
