import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';

export function revokeKeyCommand(): Command {
  return makeCommand('revoke', 'end a key at once')
    .argument('<id>', 'id of the key, from "key ls"')
    .action(async (id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CommonOptions>();
      await (await connect(options)).keys.revoke(id);
      if (options.json) printJson({ id, revoked: true });
      else printLine(id);
    });
}
