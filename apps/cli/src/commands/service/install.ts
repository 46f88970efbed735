import { mkdir, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { checkout, dataDirOf, listenOf } from '../../instance/paths.ts';
import { setUp } from '../../instance/set-up.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { requireSystemd, systemctl, unitFile, unitName } from './systemd.ts';
import { unitText } from './unit.ts';

export function installServiceCommand(): Command {
  return makeCommand('install', 'write a systemd unit, and start it now and at every boot')
    .option('--listen <host:port>', 'where to listen')
    .action(async (options: CommonOptions & { listen?: string }) => {
      await requireSystemd();
      const dataDir = dataDirOf(options);
      await mkdir(dataDir, { recursive: true, mode: 0o711 });
      // What takes minutes happens here, where somebody sees it.
      await setUp(dataDir, printNote);
      await writeFile(
        unitFile,
        unitText({
          checkout,
          dataDir,
          listen: listenOf(options),
          path: process.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        }),
        { mode: 0o644 },
      );
      await systemctl('daemon-reload');
      await systemctl('enable', '--now', unitName);
      if (options.json) printJson({ unit: unitFile, dataDir });
      else
        printLine(
          `Wrote ${unitFile}, enabled and started it.\nSee "systemctl status ${unitName}" and "skerry status".`,
        );
    });
}
