import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { tableLines } from '../../output/table.ts';
import { durationOption, formatBytes, formatDuration } from '../../output/units.ts';

const defaultAgeMs = 600_000;

export function gcCommand(): Command {
  return makeCommand('gc', 'remove what nobody owns')
    .option('--older-than <duration>', 'only what nobody has owned for this long (10m)', durationOption, defaultAgeMs)
    .option('--dry-run', 'only say what there is')
    .action(async (options: CommonOptions & { olderThan: number; dryRun?: boolean }) => {
      const { system } = await connect(options);
      const items = options.dryRun
        ? (await system.garbage()).filter((item) => item.ageMs >= options.olderThan)
        : await system.collectGarbage(options.olderThan);
      if (options.json) {
        printJson({ items, removed: options.dryRun !== true });
        return;
      }
      if (items.length === 0) {
        printLine('Nothing to remove.');
        return;
      }
      const rows = items.map((item) => [
        item.kind,
        item.name,
        formatDuration(item.ageMs),
        item.bytes === undefined ? '' : formatBytes(item.bytes),
        item.owner ?? '',
        item.reason,
      ]);
      for (const line of tableLines(['KIND', 'NAME', 'AGE', 'SIZE', 'WHOSE', 'WHY'], rows)) printLine(line);
      printNote(
        options.dryRun === true
          ? `${items.length} found; "skerry gc" removes what nobody has owned for ${formatDuration(options.olderThan)}.`
          : `${items.length} removed.`,
      );
    });
}
