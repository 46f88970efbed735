import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { durationOption, formatDuration } from '../../output/units.ts';

export function holdCommand(): Command {
  return makeCommand('hold', 'keep a sandbox awake for a time; prints the id of the hold')
    .argument('<name>', 'name or id')
    .option('--for <duration>', 'how long (2h)', durationOption)
    .option('--reason <text>', 'why, for those who look at its activity')
    .action(async (name: string, options: CommonOptions & { for?: number; reason?: string }) => {
      const { sandboxes } = await connect(options);
      const hold = await sandboxes.hold(name, {
        ...(options.for === undefined ? {} : { forMs: options.for }),
        ...(options.reason === undefined ? {} : { reason: options.reason }),
      });
      if (options.json) {
        printJson(hold);
        return;
      }
      printLine(hold.id);
      const forMs = Date.parse(hold.expiresAt) - Date.parse(hold.createdAt);
      printNote(`"${name}" stays awake for ${formatDuration(forMs)}; "skerry release ${name}" ends that.`);
    });
}
