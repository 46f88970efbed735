import { faultPoint as point } from '@skerry/kit';

/** Every place at which a fault test can kill the server: between two steps that leave a trace in the store or on the host. */
export const faultPoints = [
  'create.recorded',
  'create.disk-made',
  'create.disk-recorded',
  'start.boot-recorded',
  'start.boot-running',
  'start.recorded',
  'stop.wanted',
  'stop.halting',
  'stop.boot-ended',
  'stop.exit-recorded',
  'stop.boot-deleted',
  'stop.recorded',
  'delete.wanted',
  'delete.points-deleted',
  'delete.disk-deleted',
  'delete.recorded',
  'pause.wanted',
  'pause.recorded',
  'pause.saved',
  'pause.point-recorded',
  'pause.failed',
  'resume.fell-back',
  'point.dropped',
  'snapshot.recorded',
  'snapshot.made',
  'snapshot.ready',
  'snapshot.deleting',
  'snapshot.deleted',
  'fork.recorded',
  'rollback.wanted',
  'rollback.disk-recorded',
  'rollback.disk-made',
  'rollback.swapped',
  'rollback.old-disk-deleted',
  'import.recorded',
  'import.read',
  'import.recorded-sandbox',
  'freeze.recorded',
  'freeze.done',
  'thaw.done',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** Kills this process here when a test armed this point. */
export function faultPoint(name: FaultPoint): void {
  point(name);
}
