import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { durationOption } from '../../output/units.ts';
import { forEachName } from './each.ts';

export function stopCommand(): Command {
  return makeCommand('stop', 'end what runs in sandboxes; their disks stay')
    .argument('<names...>', 'names or ids')
    .option('--grace <duration>', 'how long programs get to end by themselves (5s)', durationOption)
    .action(async (names: readonly string[], options: CommonOptions & { grace?: number }) => {
      const { sandboxes } = await connect(options);
      await forEachName(names, options.json === true, async (name) => {
        const { view } = await sandboxes.stop(name, options.grace === undefined ? {} : { graceMs: options.grace });
        if (options.json) printJson(view);
        else printLine(view.name);
      });
    });
}
