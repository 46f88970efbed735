import type { SandboxView, Snapshot } from '@skerry/sdk';
import { paint } from './print.ts';
import { paintStatus } from './status.ts';
import { tableLines } from './table.ts';
import { formatAge, formatBytes } from './units.ts';

/** The snapshots of a sandbox as a tree, oldest first, each with what it holds and what its deletion would free. */
export function treeLines(sandbox: SandboxView, snapshots: readonly Snapshot[], nowMs: number = Date.now()): string[] {
  const known = new Set(snapshots.map(({ id }) => id as string));
  const byParent = new Map<string | undefined, Snapshot[]>();
  for (const snapshot of snapshots.toSorted((one, other) => one.createdAt.localeCompare(other.createdAt))) {
    const parent = snapshot.parent !== undefined && known.has(snapshot.parent) ? snapshot.parent : undefined;
    byParent.set(parent, [...(byParent.get(parent) ?? []), snapshot]);
  }
  const rows: string[][] = [];
  const draw = (parent: string | undefined, indent: string): void => {
    const children = byParent.get(parent) ?? [];
    for (const [index, child] of children.entries()) {
      const last = index === children.length - 1;
      rows.push([`${indent}${last ? '└─ ' : '├─ '}${title(child)}`, ...facts(child, nowMs)]);
      draw(child.id, `${indent}${last ? '   ' : '│  '}`);
    }
  };
  draw(undefined, '');
  const source = snapshots.find(({ id }) => id === sandbox.source?.snapshot)?.name ?? sandbox.source?.snapshot;
  const origin = source === undefined ? '' : ` ${paint(`made from ${source}`, 'dim')}`;
  const first = `${paint(sandbox.name, 'bold')} ${paintStatus(sandbox.status)}${origin}`;
  if (rows.length === 0) return [first];
  return [first, ...tableLines(rows[0] ?? [], rows.slice(1))];
}

function title({ id, name, origin }: Snapshot): string {
  if (name !== undefined) return name;
  return origin === 'user' ? id : `${id} ${paint(`(${origin})`, 'dim')}`;
}

function facts(snapshot: Snapshot, nowMs: number): string[] {
  const { kind, memoryBytes, diskBytes, exclusiveBytes, memoryUnusable, createdAt, status } = snapshot;
  if (status !== 'ready') return [status];
  return [
    `${kind === 'memory' ? `memory ${formatBytes(memoryBytes)}, ` : ''}files ${formatBytes(diskBytes)}`,
    `frees ${formatBytes(exclusiveBytes)}`,
    `${formatAge(createdAt, nowMs)} ago`,
    ...(memoryUnusable === undefined ? [] : [paint(`memory unusable: ${memoryUnusable}`, 'yellow')]),
  ];
}
