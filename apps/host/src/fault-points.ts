import { faultPoint as point } from '@skerry/kit';

/** Every place at which a fault test can kill the daemon: between two steps that leave a trace on the machine. */
export const faultPoints = [
  'disks.create.directory',
  'disks.create.snapshot',
  'disks.create.limited',
  'disks.create.recorded',
  'disks.settle.copied',
  'disks.settle.removed',
  'disks.settle.renamed',
  'disks.delete.renamed',
  'disks.delete.subvolume',
  'disks.delete.erased',
  'boots.start.recorded',
  'boots.start.leased',
  'boots.start.prepared',
  'boots.start.engine',
  'boots.start.initialised',
  'boots.start.running',
  'boots.restore.checked',
  'boots.restore.begun',
  'boots.restore.engine',
  'boots.restore.initialised',
  'boots.restore.running',
  'boots.stop.recorded',
  'boots.stop.asked',
  'boots.end.recorded',
  'boots.end.engine',
  'boots.end.network',
  'boots.end.cleaned',
  'boots.save.recorded',
  'boots.save.synced',
  'boots.save.held',
  'boots.save.suspended',
  'boots.save.copied',
  'boots.save.released',
  'boots.save.marked',
  'boots.save.published',
  'boots.save.done',
  'boots.delete.renamed',
  'boots.delete.removed',
  'snapshots.create.directory',
  'snapshots.create.root',
  'snapshots.create.memory',
  'snapshots.create.sealed',
  'snapshots.create.recorded',
  'snapshots.create.published',
  'snapshots.delete.renamed',
  'snapshots.import.unpacked',
  'snapshots.import.judged',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** Kills this daemon here when a test armed this point. */
export function faultPoint(name: FaultPoint): void {
  point(name);
}
