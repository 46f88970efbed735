import type { Diff } from '@skerry/sdk';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { paint, printJson, printLine, printNote } from '../../output/print.ts';
import { countOption, formatBytes } from '../../output/units.ts';

const marks = {
  added: ['+', 'green'],
  changed: ['~', 'yellow'],
  deleted: ['-', 'red'],
} as const;

export function diffCommand(): Command {
  return makeCommand('diff', 'files added, changed and deleted between two sandboxes or snapshots')
    .argument('<from>', 'name or id of a sandbox or a snapshot')
    .argument('<to>', 'the newer one')
    .option('--limit <n>', 'show at most so many (10000)', countOption)
    .action(async (from: string, to: string, options: CommonOptions & { limit?: number }) => {
      const skerry = await connect(options);
      const diff = await skerry.snapshots.diff(from, to, options.limit === undefined ? {} : { limit: options.limit });
      if (options.json) {
        printJson(diff);
        return;
      }
      for (const { change, path, type, bytes } of diff.changes) {
        const [mark, colour] = marks[change];
        const size = type === 'file' ? formatBytes(bytes) : type === 'directory' ? 'dir' : type;
        printLine(`${paint(mark, colour)} ${size.padStart(8)}  ${printable(path)}${type === 'directory' ? '/' : ''}`);
      }
      printNote(summary(diff));
    });
}

function summary({ changes, truncated }: Diff): string {
  const parts = (['added', 'changed', 'deleted'] as const).flatMap((change) => {
    const found = changes.filter((one) => one.change === change);
    const bytes = found.reduce((sum, one) => sum + (one.type === 'file' ? one.bytes : 0), 0);
    return found.length === 0 ? [] : [`${found.length} ${change} (${formatBytes(bytes)})`];
  });
  const text = parts.length === 0 ? 'No difference.' : `${parts.join(', ')}.`;
  return truncated ? `${text} There are more: see --limit.` : text;
}

/** A path from inside: what would move the cursor of a terminal is shown as it is written in JSON. */
function printable(path: string): string {
  return path.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (character) => JSON.stringify(character).slice(1, -1));
}
