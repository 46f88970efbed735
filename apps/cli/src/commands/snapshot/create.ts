import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { countOption, durationOption, formatBytes, formatDuration } from '../../output/units.ts';

interface CreateSnapshotOptions extends CommonOptions {
  readonly name?: string;
  readonly diskOnly?: boolean;
  readonly expireAfter?: number;
  readonly keepLast?: number;
}

export function createSnapshotCommand(): Command {
  return makeCommand('create', 'save a sandbox as it is now, while it goes on; prints name or id')
    .argument('<name>', 'name or id of the sandbox')
    .option('--name <name>', 'a name for the snapshot')
    .option('--disk-only', 'its files alone, without its memory')
    .option('--expire-after <duration>', 'delete it after this time (never)', durationOption)
    .option('--keep-last <n>', "then delete the sandbox's older snapshots without a name, but for so many", countOption)
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CreateSnapshotOptions>();
      const { snapshots } = await connect(options);
      const beganMs = performance.now();
      const snapshot = await snapshots.create(name, {
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.diskOnly === true ? { kind: 'disk' } : {}),
        ...(options.expireAfter === undefined ? {} : { expireAfterMs: options.expireAfter }),
        ...(options.keepLast === undefined ? {} : { keepLast: options.keepLast }),
      });
      if (options.json) {
        printJson(snapshot);
        return;
      }
      printLine(snapshot.name ?? snapshot.id);
      if (snapshot.status !== 'ready') {
        printNote(`It is still ${snapshot.status}; see "skerry snapshot ls ${name}".`);
        return;
      }
      const { kind, memoryBytes, exclusiveBytes, stallMs } = snapshot;
      const holds = kind === 'memory' ? `memory (${formatBytes(memoryBytes)}) and files` : 'files';
      const stall = stallMs === undefined ? '' : `; work stood still for ${formatDuration(stallMs)}`;
      printNote(
        `Saved ${holds} in ${formatDuration(performance.now() - beganMs)}${stall}. It takes ${formatBytes(exclusiveBytes)} that nothing else uses.`,
      );
    });
}
