import { Command } from 'commander';
import { installServiceCommand } from './install.ts';
import { uninstallServiceCommand } from './uninstall.ts';

export function serviceCommand(): Command {
  return new Command('service')
    .summary('a systemd unit')
    .description('a systemd unit that keeps Skerry up')
    .addCommand(installServiceCommand())
    .addCommand(uninstallServiceCommand());
}
