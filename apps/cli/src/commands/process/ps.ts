import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { tableLines } from '../../output/table.ts';
import { findRunning } from '../../terminal/find-running.ts';

export function psCommand(): Command {
  return makeCommand('ps', 'the processes that were started through the API')
    .argument('<name>', 'name or id')
    .action(async (name: string, options: CommonOptions) => {
      const sandbox = await findRunning(await connect(options), name);
      const processes = await sandbox.process.list();
      if (options.json) {
        printJson({ items: processes });
        return;
      }
      const rows = processes.map(({ pid, config, tag }) => [
        String(pid),
        tag ?? '',
        [config.cmd, ...(config.args ?? [])].map(quoted).join(' '),
      ]);
      for (const line of tableLines(['PID', 'TAG', 'COMMAND'], rows)) printLine(line);
    });
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''").replaceAll('\n', '\\n')}'`;
}
