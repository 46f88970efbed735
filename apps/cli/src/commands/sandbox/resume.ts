import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { resumeText } from '../../output/resume.ts';
import { formatDuration } from '../../output/units.ts';
import { forEachName } from './each.ts';

export function resumeCommand(): Command {
  return makeCommand('resume', 'bring paused sandboxes back, where they were')
    .argument('<names...>', 'names or ids')
    .action(async (names: readonly string[], options: CommonOptions) => {
      const { sandboxes } = await connect(options);
      await forEachName(names, options.json === true, async (name) => {
        const beganMs = performance.now();
        const { view } = await sandboxes.resume(name);
        if (options.json) {
          printJson(view);
          return;
        }
        printLine(view.name);
        printNote(
          view.status === 'running'
            ? `Runs after ${formatDuration(performance.now() - beganMs)}, ${resumeText(view)}.`
            : `"${view.name}" is ${view.status}; see "skerry get ${view.name}".`,
        );
      });
    });
}
