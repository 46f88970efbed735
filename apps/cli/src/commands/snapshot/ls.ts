import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { tableLines } from '../../output/table.ts';
import { formatAge, formatBytes, formatDuration } from '../../output/units.ts';

export function listSnapshotsCommand(): Command {
  return makeCommand('ls', 'list snapshots, newest first')
    .argument('[name]', 'only those of this sandbox')
    .option('--all', 'also those that pauses, forks and exports made')
    .action(async (name: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CommonOptions & { all?: boolean }>();
      const { snapshots } = await connect(options);
      const found = await Array.fromAsync(
        snapshots.list({
          ...(name === undefined ? {} : { sandbox: name }),
          ...(options.all === true ? { all: true } : {}),
        }),
      );
      if (options.json) {
        printJson({ items: found });
        return;
      }
      if (found.length === 0) {
        printNote(`No snapshots. "skerry snapshot create ${name ?? 'NAME'}" makes one.`);
        return;
      }
      const rows = found.map((snapshot) => [
        snapshot.name ?? snapshot.id,
        snapshot.sandboxName,
        snapshot.status === 'ready' ? holds(snapshot) : snapshot.status,
        snapshot.kind === 'memory' ? formatBytes(snapshot.memoryBytes) : '',
        formatBytes(snapshot.diskBytes),
        formatBytes(snapshot.exclusiveBytes),
        snapshot.origin,
        formatAge(snapshot.createdAt),
        snapshot.expiresAt === undefined
          ? ''
          : `in ${formatDuration(Math.max(0, Date.parse(snapshot.expiresAt) - Date.now()))}`,
      ]);
      const header = ['SNAPSHOT', 'OF', 'HOLDS', 'MEMORY', 'FILES', 'FREES', 'BY', 'AGE', 'ENDS'];
      for (const line of tableLines(header, rows)) printLine(line);
      printNote('FILES may be shared with others; FREES is what deleting it gives back.');
    });
}

function holds({ kind, memoryUnusable }: { kind: string; memoryUnusable?: string }): string {
  if (kind !== 'memory') return 'files';
  return memoryUnusable === undefined ? 'memory+files' : 'files (memory unusable)';
}
