import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { formatDuration } from '../../output/units.ts';
import { forEachName } from '../sandbox/each.ts';

export function verifySnapshotCommand(): Command {
  return makeCommand('verify', 'read all of snapshots and compare them with their digests')
    .argument('<snapshots...>', 'names or ids')
    .action(async (names: readonly string[], _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CommonOptions>();
      const { snapshots } = await connect(options);
      await forEachName(names, options.json === true, async (name) => {
        const beganMs = performance.now();
        await snapshots.verify(name);
        if (options.json) {
          printJson({ snapshot: name, whole: true });
          return;
        }
        printLine(name);
        printNote(`"${name}" is whole; read in ${formatDuration(performance.now() - beganMs)}.`);
      });
    });
}
