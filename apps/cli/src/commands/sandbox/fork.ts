import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { usageError } from '../../output/failure.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { countOption, formatDuration } from '../../output/units.ts';

interface ForkOptions extends CommonOptions {
  readonly count?: number;
  readonly name?: readonly string[];
  readonly diskOnly?: boolean;
}

export function forkCommand(): Command {
  return makeCommand('fork', 'running copies of a sandbox as it is now; prints their names')
    .argument('<name>', 'name or id')
    .option('--count <n>', 'how many (1)', countOption)
    .option('--name <name>', 'name of a copy; may be repeated (made up)', (name: string, before: string[] = []) => [
      ...before,
      name,
    ])
    .option('--disk-only', 'copies of its files alone, freshly booted')
    .action(async (name: string, options: ForkOptions) => {
      const count = options.count ?? options.name?.length ?? 1;
      if (options.name !== undefined && options.name.length > count)
        throw usageError(`There are ${options.name.length} names for ${count} forks`, 'Leave --count away.');
      const { sandboxes } = await connect(options);
      const beganMs = performance.now();
      const forks = await sandboxes.fork(name, {
        count,
        ...(options.name === undefined ? {} : { names: [...options.name] }),
        ...(options.diskOnly === true ? { diskOnly: true } : {}),
      });
      if (options.json) {
        printJson({ items: forks.map(({ view }) => view) });
        return;
      }
      for (const fork of forks) printLine(fork.name);
      const took = formatDuration(performance.now() - beganMs);
      const late = forks.filter(({ view }) => view.status !== 'running');
      printNote(
        late.length === 0
          ? `${forks.length === 1 ? 'It runs' : `All ${forks.length} run`} after ${took}; "${name}" goes on.`
          : `After ${took}: ${late.map((fork) => `"${fork.name}" is ${fork.view.status}`).join(', ')}.`,
      );
    });
}
