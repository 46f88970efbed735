import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson } from '../../output/print.ts';

export function logsCommand(): Command {
  return makeCommand('logs', 'what the guest and the start command printed')
    .argument('<name>', 'name or id')
    .action(async (name: string, options: CommonOptions) => {
      const text = await (await connect(options)).sandboxes.logs(name);
      if (options.json) printJson({ text });
      else process.stdout.write(text === '' || text.endsWith('\n') ? text : `${text}\n`);
    });
}
