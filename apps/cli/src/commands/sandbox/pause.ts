import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { formatDuration } from '../../output/units.ts';
import { forEachName } from './each.ts';

export function pauseCommand(): Command {
  return makeCommand('pause', 'save memory and disk, and end the boot; everything goes on at "resume"')
    .argument('<names...>', 'names or ids')
    .option('--disk-only', 'save the disk alone: processes end as at "stop"')
    .action(async (names: readonly string[], options: CommonOptions & { diskOnly?: boolean }) => {
      const { sandboxes } = await connect(options);
      await forEachName(names, options.json === true, async (name) => {
        const beganMs = performance.now();
        const { view } = await sandboxes.pause(name, options.diskOnly === true ? { memory: false } : {});
        if (options.json) {
          printJson(view);
          return;
        }
        printLine(view.name);
        const took = formatDuration(performance.now() - beganMs);
        printNote(
          view.status !== 'paused'
            ? `"${view.name}" is ${view.status}; see "skerry get ${view.name}".`
            : options.diskOnly === true
              ? `Paused in ${took}, without its memory.`
              : `Paused in ${took}: "skerry resume ${view.name}" goes on where it was.`,
        );
      });
    });
}
