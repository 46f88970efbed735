import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { treeLines } from '../../output/snapshot-tree.ts';

export function snapshotTreeCommand(): Command {
  return makeCommand('tree', 'the snapshots of a sandbox, and which was made after which')
    .argument('<name>', 'name or id of the sandbox')
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CommonOptions>();
      const skerry = await connect(options);
      const [{ view }, snapshots] = await Promise.all([
        skerry.sandboxes.get(name),
        Array.fromAsync(skerry.snapshots.list({ sandbox: name, all: true })),
      ]);
      if (options.json) {
        printJson({ sandbox: view, items: snapshots });
        return;
      }
      for (const line of treeLines(view, snapshots)) printLine(line);
      if (snapshots.length === 0) printNote(`No snapshots. "skerry snapshot create ${view.name}" makes one.`);
    });
}
