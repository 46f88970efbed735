import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { forEachName } from './each.ts';

export function startCommand(): Command {
  return makeCommand('start', 'start stopped sandboxes, resume paused ones')
    .argument('<names...>', 'names or ids')
    .action(async (names: readonly string[], options: CommonOptions) => {
      const { sandboxes } = await connect(options);
      await forEachName(names, options.json === true, async (name) => {
        const { view } = await sandboxes.start(name);
        if (options.json) printJson(view);
        else printLine(view.name);
      });
    });
}
