import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { tableLines } from '../../output/table.ts';

export function eventsCommand(): Command {
  return makeCommand('events', 'what happened to a sandbox, oldest first')
    .argument('<name>', 'name or id')
    .action(async (name: string, options: CommonOptions) => {
      const { sandboxes } = await connect(options);
      if (options.json) {
        for await (const event of sandboxes.events(name)) printJson(event);
        return;
      }
      const events = await Array.fromAsync(sandboxes.events(name));
      const rows = events.map((event) => [
        event.at,
        event.type,
        (event.reason ?? '').replaceAll('_', ' '),
        event.message,
      ]);
      for (const line of tableLines(['AT', 'EVENT', 'WHY', 'MESSAGE'], rows)) printLine(line);
    });
}
