import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { usageError } from '../../output/failure.ts';
import { printJson } from '../../output/print.ts';
import { findRunning } from '../../terminal/find-running.ts';
import { download } from '../../transfer/download.ts';
import { parsePlace } from '../../transfer/place.ts';
import { upload } from '../../transfer/upload.ts';

export function copyCommand(): Command {
  return makeCommand('cp', 'copy a file or a folder into a sandbox, or out of one')
    .argument('<source>', 'PATH, "-" for standard input, or NAME:PATH')
    .argument('<destination>', 'NAME:PATH, PATH, or "-" for standard output')
    .option('--user <name>', "with the rights of this user (the sandbox's own by default)")
    .action(async (sourceText: string, destinationText: string, options: CommonOptions & { user?: string }) => {
      const source = parsePlace(sourceText);
      const destination = parsePlace(destinationText);
      const inside = source.sandbox ?? destination.sandbox;
      if (inside === undefined || (source.sandbox !== undefined && destination.sandbox !== undefined))
        throw usageError(
          'One of source and destination must be in a sandbox',
          'Write it as NAME:PATH; a local file with a colon as ./FILE.',
        );
      const sandbox = await findRunning(await connect(options), inside);
      if (source.sandbox === undefined) await upload(sandbox, source.path, destination.path, options.user);
      else await download(sandbox, source.path, destination.path, options.user);
      if (options.json && destination.path !== '-') printJson({ source: sourceText, destination: destinationText });
    });
}
