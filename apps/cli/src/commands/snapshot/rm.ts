import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { forEachName } from '../sandbox/each.ts';

export function removeSnapshotCommand(): Command {
  return makeCommand('rm', 'delete snapshots; what was made from them stays whole')
    .argument('<snapshots...>', 'names or ids')
    .action(async (names: readonly string[], _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CommonOptions>();
      const { snapshots } = await connect(options);
      await forEachName(names, options.json === true, async (name) => {
        await snapshots.delete(name);
        if (options.json) printJson({ snapshot: name, deleted: true });
        else printLine(name);
      });
    });
}
