import type { Command } from 'commander';
import { type CommonOptions, makeCommand, type ProcessOptions, withProcessOptions } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { attach, detachOnPauseHelp, terminalEnvironment, terminalSize } from '../../terminal/attach.ts';
import { asCommand } from '../../terminal/command-failure.ts';
import { findRunning } from '../../terminal/find-running.ts';

interface ExecOptions extends CommonOptions, ProcessOptions {
  readonly i?: boolean;
  readonly t?: boolean;
  readonly d?: boolean;
  readonly detachOnPause?: boolean;
}

export function execCommand(): Command {
  return withProcessOptions(makeCommand('exec', 'run a command in a sandbox; ends with its exit code'))
    .argument('<name>', 'name or id')
    .argument('<command...>', 'the command, after "--"; no shell reads it')
    .option('-i', 'pass standard input on')
    .option('-t', 'give it a terminal')
    .option('-d', 'print its pid and leave it running')
    .option('--detach-on-pause', detachOnPauseHelp)
    .action(async (name: string, command: readonly string[], options: ExecOptions) => {
      process.exitCode = await asCommand(async () => {
        const skerry = await connect(options);
        const sandbox = await findRunning(skerry, name);
        const terminal = options.t === true && options.d !== true;
        const running = await sandbox.process.start({
          command,
          user: options.user,
          cwd: options.cwd,
          env: { ...(terminal ? terminalEnvironment() : {}), ...options.env },
          timeoutMs: options.timeout,
          stdin: options.i === true && options.d !== true,
          ...(terminal ? { terminal: terminalSize() } : {}),
        });
        if (options.d === true) {
          if (options.json) printJson({ pid: running.pid });
          else printLine(String(running.pid));
          await running[Symbol.asyncDispose]();
          return 0;
        }
        const exit = await attach(running, {
          input: options.i === true,
          terminal,
          json: options.json === true,
          detachOnPause: options.detachOnPause === true,
          resume: () => skerry.sandboxes.resume(sandbox.id),
        });
        return exit.exitCode;
      });
    });
}
