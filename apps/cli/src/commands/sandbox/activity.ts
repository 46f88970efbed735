import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { activityLines } from '../../output/activity.ts';
import { printJson, printLine } from '../../output/print.ts';

export function activityCommand(): Command {
  return makeCommand('activity', 'why it is awake, what would wake it, when and how it rests, what it has cost')
    .argument('<name>', 'name or id')
    .action(async (name: string, options: CommonOptions) => {
      const activity = await (await connect(options)).sandboxes.activity(name);
      if (options.json) printJson(activity);
      else for (const line of activityLines(name, activity)) printLine(line);
    });
}
