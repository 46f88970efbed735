import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { attach, detachOnPauseHelp, terminalEnvironment, terminalSize } from '../../terminal/attach.ts';
import { asCommand } from '../../terminal/command-failure.ts';
import { findRunning } from '../../terminal/find-running.ts';

export function shellCommand(): Command {
  return makeCommand('shell', 'a login shell on a terminal')
    .argument('<name>', 'name or id')
    .option('--user <name>', "as this user (the sandbox's own by default)")
    .option('--cwd <dir>', 'in this folder (the home of the user by default)')
    .option('--detach-on-pause', detachOnPauseHelp)
    .action(async (name: string, options: CommonOptions & { user?: string; cwd?: string; detachOnPause?: boolean }) => {
      process.exitCode = await asCommand(async () => {
        const skerry = await connect(options);
        const sandbox = await findRunning(skerry, name);
        const running = await sandbox.process.start({
          command: ['/bin/sh', '-c', 'exec "${SHELL:-/bin/bash}" -l'],
          user: options.user,
          cwd: options.cwd,
          env: terminalEnvironment(),
          stdin: true,
          terminal: terminalSize(),
        });
        const exit = await attach(running, {
          input: true,
          terminal: true,
          json: false,
          detachOnPause: options.detachOnPause === true,
          resume: () => skerry.sandboxes.resume(sandbox.id),
        });
        return exit.exitCode;
      });
    });
}
