import type { Command } from 'commander';
import { makeCommand } from '../../command.ts';
import { createSnapshotCommand } from './create.ts';
import { listSnapshotsCommand } from './ls.ts';
import { removeSnapshotCommand } from './rm.ts';
import { snapshotTreeCommand } from './tree.ts';
import { verifySnapshotCommand } from './verify.ts';

export function snapshotCommand(): Command {
  return makeCommand('snapshot', 'saved states of sandboxes: make, list, delete, check')
    .addCommand(createSnapshotCommand())
    .addCommand(listSnapshotsCommand())
    .addCommand(snapshotTreeCommand())
    .addCommand(removeSnapshotCommand())
    .addCommand(verifySnapshotCommand());
}
