import { Command } from 'commander';
import { durationOption, pairOption } from './output/units.ts';

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly data?: string;
}

/** A command with the options that all have. */
export function makeCommand(name: string, summary: string): Command {
  return new Command(name)
    .summary(summary)
    .description(summary)
    .option('--json', 'print JSON: one document, or one a line for streams')
    .option('--data <dir>', 'the data directory of the instance (SKERRY_DATA, or /var/lib/skerry)');
}

/** Adds how a process is run: user, folder, environment, time. */
export function withProcessOptions(command: Command): Command {
  return command
    .option('--user <name>', "run as this user (the sandbox's own by default)")
    .option('--cwd <dir>', 'run in this folder (the home of the user by default)')
    .option('--env <key=value>', 'add to the environment; may be repeated', pairOption)
    .option('--timeout <duration>', 'end the command after this time, with exit code 124', durationOption);
}

export interface ProcessOptions {
  readonly user?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeout?: number;
}
