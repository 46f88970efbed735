import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { readKey } from '../../instance/find.ts';
import { dataDirOf } from '../../instance/paths.ts';
import { printJson, printLine } from '../../output/print.ts';
import { createKeyCommand } from './create.ts';
import { listKeysCommand } from './ls.ts';
import { revokeKeyCommand } from './revoke.ts';

export function keyCommand(): Command {
  return makeCommand('key', "print the instance's first key, or manage keys")
    .action(async (options: CommonOptions) => {
      const key = await readKey(dataDirOf(options));
      if (options.json) printJson({ key });
      else printLine(key);
    })
    .addCommand(createKeyCommand())
    .addCommand(listKeysCommand())
    .addCommand(revokeKeyCommand());
}
