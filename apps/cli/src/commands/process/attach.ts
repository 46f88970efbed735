import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printNote } from '../../output/print.ts';
import { formatBytes, processIdOf } from '../../output/units.ts';
import { attach, detachOnPauseHelp, terminalSize } from '../../terminal/attach.ts';
import { asCommand } from '../../terminal/command-failure.ts';
import { findRunning } from '../../terminal/find-running.ts';

interface AttachCommandOptions extends CommonOptions {
  readonly i?: boolean;
  readonly t?: boolean;
  readonly detachOnPause?: boolean;
}

export function attachCommand(): Command {
  return makeCommand('attach', 'attach again to a process that "exec" or "shell" started; ends with its exit code')
    .argument('<name>', 'name or id')
    .argument('<pid>', 'from "ps" or "exec -d"')
    .option('-i', 'pass standard input on')
    .option('-t', 'it has a terminal: take its keys and tell it the size of this one')
    .option('--detach-on-pause', detachOnPauseHelp)
    .action(async (name: string, pidText: string, options: AttachCommandOptions) => {
      const pid = processIdOf(pidText, name);
      process.exitCode = await asCommand(async () => {
        const skerry = await connect(options);
        const sandbox = await findRunning(skerry, name);
        const terminal = options.t === true;
        const running = await sandbox.process.connect(pid, terminal ? { terminal: terminalSize() } : {});
        if (running.droppedBytes > 0) printNote(`${formatBytes(running.droppedBytes)} of older output found no room.`);
        const exit = await attach(running, {
          input: options.i === true || terminal,
          terminal,
          json: options.json === true,
          detachOnPause: options.detachOnPause === true,
          resume: () => skerry.sandboxes.resume(sandbox.id),
        });
        return exit.exitCode;
      });
    });
}
