import { type Skerry, SkerryError } from '@skerry/sdk';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { formatBytes, formatDuration } from '../../output/units.ts';
import { saveStream } from '../../transfer/save-stream.ts';

export function exportCommand(): Command {
  return makeCommand('export', 'a sandbox or a snapshot as one file')
    .argument('<name>', 'name or id of a sandbox or a snapshot')
    .argument('<file>', 'where to; "-" is standard output')
    .option('--memory', 'with its memory')
    .action(async (name: string, file: string, options: CommonOptions & { memory?: boolean }) => {
      const skerry = await connect(options);
      const beganMs = performance.now();
      const stream = await open(skerry, name, options.memory === true);
      const bytes = await saveStream(stream, file);
      if (options.json && file !== '-') printJson({ file, bytes });
      if (options.json) return;
      if (file !== '-') printLine(file);
      printNote(`Exported "${name}": ${formatBytes(bytes)} in ${formatDuration(performance.now() - beganMs)}.`);
    });
}

/** The export of what has this name: a sandbox, else a snapshot. */
async function open(skerry: Skerry, name: string, memory: boolean): Promise<ReadableStream<Uint8Array>> {
  try {
    return await skerry.sandboxes.export(name, { memory });
  } catch (error) {
    if (!(error instanceof SkerryError) || error.reason !== 'sandbox_not_found') throw error;
    return skerry.snapshots.export(name, { memory }).catch((other: unknown) => {
      if (!(other instanceof SkerryError) || other.reason !== 'snapshot_not_found') throw other;
      throw new SkerryError({
        code: 'not_found',
        reason: 'nothing_to_export',
        message: `There is neither a sandbox nor a snapshot "${name}"`,
        hint: 'List them with "skerry ls" and "skerry snapshot ls".',
        status: 404,
        cause: other,
      });
    });
  }
}
