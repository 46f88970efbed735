import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { printJson, printLine } from '../../output/print.ts';
import { requireSystemd, systemctl, unitFile, unitName } from './systemd.ts';

export function uninstallServiceCommand(): Command {
  return makeCommand('uninstall', 'stop the systemd unit and remove it; the data stays').action(
    async (options: CommonOptions) => {
      await requireSystemd();
      await systemctl('disable', '--now', unitName);
      await rm(unitFile, { force: true });
      await systemctl('daemon-reload');
      if (options.json) printJson({ unit: unitFile, removed: true });
      else printLine(`Stopped and removed ${unitFile}. The data directory stays.`);
    },
  );
}
