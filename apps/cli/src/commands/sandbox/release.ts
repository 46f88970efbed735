import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';

export function releaseCommand(): Command {
  return makeCommand('release', 'end the holds of a sandbox: it rests again by its rule')
    .argument('<name>', 'name or id')
    .argument('[hold]', 'this hold alone, by the id that "hold" printed')
    .action(async (name: string, hold: string | undefined, options: CommonOptions) => {
      await (await connect(options)).sandboxes.release(name, hold);
      if (options.json) printJson({ sandbox: name, released: hold ?? 'all' });
      else printLine(name);
    });
}
