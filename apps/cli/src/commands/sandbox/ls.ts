import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { paintStatus } from '../../output/status.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { tableLines } from '../../output/table.ts';
import { formatAge, formatMiB, pairOption } from '../../output/units.ts';

interface ListCommandOptions extends CommonOptions {
  readonly all?: boolean;
  readonly status?: readonly string[];
  readonly label?: Record<string, string>;
}

const statuses = [
  'creating',
  'starting',
  'running',
  'pausing',
  'paused',
  'resuming',
  'stopping',
  'stopped',
  'deleting',
  'deleted',
  'failed',
];

export function listCommand(): Command {
  return makeCommand('ls', 'list the sandboxes, newest first')
    .option('--all', 'also deleted ones')
    .option('--status <status>', 'only with this status; may be repeated', (status: string, before: string[] = []) => [
      ...before,
      ...status.split(','),
    ])
    .option('--label <key=value>', 'only with this label; may be repeated', pairOption)
    .action(async (options: ListCommandOptions) => {
      const { sandboxes } = await connect(options);
      const wanted = options.status ?? (options.all === true ? statuses : undefined);
      const found = await Array.fromAsync(
        sandboxes.list({
          ...(wanted === undefined ? {} : { status: wanted }),
          ...(options.label === undefined ? {} : { labels: options.label }),
        }),
      );
      if (options.json) {
        printJson({ items: found });
        return;
      }
      if (found.length === 0) {
        printNote('No sandboxes. "skerry create" makes one.');
        return;
      }
      const rows = found.map((sandbox) => [
        sandbox.name,
        paintStatus(sandbox.status),
        sandbox.kind,
        sandbox.template,
        String(sandbox.cpus),
        formatMiB(sandbox.memoryMiB),
        formatAge(sandbox.createdAt),
        sandbox.id,
      ]);
      for (const line of tableLines(['NAME', 'STATUS', 'KIND', 'TEMPLATE', 'CPUS', 'MEMORY', 'AGE', 'ID'], rows))
        printLine(line);
    });
}
