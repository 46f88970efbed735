import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { resumeText } from '../../output/resume.ts';
import { formatDuration } from '../../output/units.ts';

export function rollbackCommand(): Command {
  return makeCommand('rollback', 'put a sandbox back to a snapshot; what it did since is gone')
    .argument('<name>', 'name or id of the sandbox')
    .argument('<snapshot>', 'name or id of the snapshot')
    .option('--disk-only', 'boot from its files, without its memory')
    .action(async (name: string, snapshot: string, options: CommonOptions & { diskOnly?: boolean }) => {
      const { sandboxes } = await connect(options);
      const beganMs = performance.now();
      const { view } = await sandboxes.rollback(name, { snapshot, diskOnly: options.diskOnly === true });
      if (options.json) {
        printJson(view);
        return;
      }
      printLine(view.name);
      const took = formatDuration(performance.now() - beganMs);
      printNote(
        view.status === 'running'
          ? `Runs as in "${snapshot}" after ${took}, ${options.diskOnly === true ? 'freshly booted' : resumeText(view)}.`
          : `"${view.name}" is ${view.status}; see "skerry get ${view.name}".`,
      );
    });
}
