import type { DesiredState } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';
import type { Core } from '../core.ts';

/** What the drive moves towards now: a failed sandbox is let be, and nothing is started while Skerry comes to rest. */
export async function targetOf(core: Core, record: SandboxRecord): Promise<DesiredState> {
  const { desired, observed } = record;
  if (desired === 'deleted' || desired === 'stopped') return desired;
  if (record.failure !== null) return 'stopped';
  if (core.rest.resting) return restingTarget(core, record);
  // A pause that was asked for before the sandbox runs lets it run first: what is to be saved is there then.
  if (desired === 'paused' && (observed === 'booting' || !record.everRan)) return 'running';
  return desired;
}

/** Skerry goes down: persistent sandboxes are paused with their memory where that can be, else stopped; the intent stays. */
async function restingTarget(core: Core, record: SandboxRecord): Promise<DesiredState> {
  const { observed } = record;
  // What was to come back from memory does so first: half way, neither its memory nor its disk would be as it was saved.
  if (observed === 'booting') return record.pointId === null ? 'stopped' : 'running';
  if (observed !== 'running' && observed !== 'saving') return 'stopped';
  if (record.desired === 'paused' && !record.pauseMemory) return 'paused';
  const saves = !core.rest.unsaved.has(record.id) && (await savesMemory(core, record));
  return record.kind === 'persistent' && saves ? 'paused' : 'stopped';
}

/** Whether the pause that is under way saves memory; one because Skerry goes down does. */
export function pausesMemory(record: SandboxRecord): boolean {
  return record.desired === 'paused' ? record.pauseMemory : true;
}

/** Whether the engine that runs a sandbox, or would, can save memory. */
export async function savesMemory(core: Core, record: Pick<SandboxRecord, 'engine'>): Promise<boolean> {
  const { engines } = await core.facts.get();
  return engines.some(
    ({ name, memorySnapshot }) => memorySnapshot && (record.engine === null || record.engine.name === name),
  );
}
