import { type Command, Option } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { durationOption } from '../../output/units.ts';

interface CreateKeyOptions extends CommonOptions {
  readonly role?: 'admin' | 'member' | 'viewer';
  readonly expires?: number;
  readonly e2b?: boolean;
}

export function createKeyCommand(): Command {
  return makeCommand('create', 'make a key; it is shown this one time')
    .argument('<name>', 'what the key is for')
    .addOption(new Option('--role <role>', 'what it may do (member)').choices(['admin', 'member', 'viewer']))
    .option('--expires <duration>', 'when it ends, such as 30d (never)', durationOption)
    .option('--e2b', "in the form that E2B's clients expect")
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CreateKeyOptions>();
      const key = await (await connect(options)).keys.create({
        name,
        ...(options.role === undefined ? {} : { role: options.role }),
        ...(options.expires === undefined ? {} : { expiresInMs: options.expires }),
        ...(options.e2b === true ? { format: 'e2b' } : {}),
      });
      if (options.json) printJson(key);
      else {
        printLine(key.key ?? '');
        printNote(`"${key.name}" (${key.id}, ${key.role}). Keep it: it is not shown again.`);
      }
    });
}
