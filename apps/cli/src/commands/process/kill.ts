import { constants } from 'node:os';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { usageError } from '../../output/failure.ts';
import { printJson } from '../../output/print.ts';
import { processIdOf } from '../../output/units.ts';
import { findRunning } from '../../terminal/find-running.ts';

export function killCommand(): Command {
  return makeCommand('kill', 'send a signal to a process and its group')
    .argument('<name>', 'name or id')
    .argument('<pid>', 'from "ps" or "exec -d"')
    .option('--signal <signal>', 'TERM, KILL, INT, … or a number (TERM)', 'TERM')
    .action(async (name: string, pidText: string, options: CommonOptions & { signal: string }) => {
      const pid = processIdOf(pidText, name);
      const number = signalNumber(options.signal);
      const sandbox = await findRunning(await connect(options), name);
      await sandbox.process.signal(pid, number);
      if (options.json) printJson({ pid, signal: number });
    });
}

function signalNumber(text: string): number {
  const known = (constants.signals as Readonly<Record<string, number>>)[`SIG${text.toUpperCase().replace(/^SIG/, '')}`];
  const number = known ?? Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 64)
    throw usageError(`"${text}" is no signal`, 'Name one, such as TERM, KILL or INT.');
  return number;
}
