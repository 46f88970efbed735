import { Problem, type SnapshotKind } from '@skerry/model';
import type { SandboxRecord } from '@skerry/store';

/** The kind of a snapshot of a sandbox whose engine `saves` memory or not: as is wanted, else with memory where there is some. Throws for memory that cannot be saved. */
export function kindFor(record: SandboxRecord, saves: boolean, wanted: SnapshotKind | undefined): SnapshotKind {
  const hasMemory = record.pointId !== null || (record.desired === 'running' && record.failure === null);
  const comes = hasMemory || record.observed === 'running' || record.observed === 'saving';
  if (wanted === 'disk') return 'disk';
  if (wanted === undefined) return comes && saves ? 'memory' : 'disk';
  if (!saves)
    throw new Problem('unsupported', `The engine of sandbox "${record.name}" cannot save memory`, {
      reason: 'memory_unsupported',
      hint: 'Ask for a snapshot of its disk.',
    });
  if (!comes)
    throw new Problem('precondition_failed', `Sandbox "${record.name}" does not run: there is no memory to save`, {
      reason: 'no_memory',
      hint: 'Ask for a snapshot of its disk, or start it first.',
    });
  return 'memory';
}
