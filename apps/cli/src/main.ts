import { Command, CommanderError } from 'commander';
import { copyCommand } from './commands/file/cp.ts';
import { doctorCommand } from './commands/instance/doctor.ts';
import { downCommand } from './commands/instance/down.ts';
import { gcCommand } from './commands/instance/gc.ts';
import { recoverCommand } from './commands/instance/recover.ts';
import { statusCommand } from './commands/instance/status.ts';
import { upCommand } from './commands/instance/up.ts';
import { keyCommand } from './commands/key/key.ts';
import { attachCommand } from './commands/process/attach.ts';
import { execCommand } from './commands/process/exec.ts';
import { killCommand } from './commands/process/kill.ts';
import { psCommand } from './commands/process/ps.ts';
import { shellCommand } from './commands/process/shell.ts';
import { activityCommand } from './commands/sandbox/activity.ts';
import { createCommand } from './commands/sandbox/create.ts';
import { diffCommand } from './commands/sandbox/diff.ts';
import { eventsCommand } from './commands/sandbox/events.ts';
import { exportCommand } from './commands/sandbox/export.ts';
import { forkCommand } from './commands/sandbox/fork.ts';
import { getCommand } from './commands/sandbox/get.ts';
import { holdCommand } from './commands/sandbox/hold.ts';
import { importCommand } from './commands/sandbox/import.ts';
import { logsCommand } from './commands/sandbox/logs.ts';
import { listCommand } from './commands/sandbox/ls.ts';
import { pauseCommand } from './commands/sandbox/pause.ts';
import { releaseCommand } from './commands/sandbox/release.ts';
import { resumeCommand } from './commands/sandbox/resume.ts';
import { removeCommand } from './commands/sandbox/rm.ts';
import { rollbackCommand } from './commands/sandbox/rollback.ts';
import { runCommand } from './commands/sandbox/run.ts';
import { startCommand } from './commands/sandbox/start.ts';
import { stopCommand } from './commands/sandbox/stop.ts';
import { serviceCommand } from './commands/service/service.ts';
import { snapshotCommand } from './commands/snapshot/snapshot.ts';
import { printFailure } from './output/failure.ts';
import { exitWhenReaderLeaves } from './output/print.ts';

const usageExitCode = 2;

/** The whole command line. */
function makeProgram(): Command {
  const program = new Command('skerry')
    .description('Isolated computers for AI agents, on your own machine.')
    .version('0.1.0')
    .helpCommand(true)
    .showHelpAfterError('(add --help for what there is)');
  program.commandsGroup('Instance:');
  for (const command of [
    upCommand(),
    downCommand(),
    statusCommand(),
    doctorCommand(),
    keyCommand(),
    gcCommand(),
    recoverCommand(),
    serviceCommand(),
  ])
    program.addCommand(command);
  program.commandsGroup('Sandboxes:');
  const sandboxes = [
    runCommand(),
    createCommand(),
    listCommand(),
    getCommand(),
    startCommand(),
    stopCommand(),
    pauseCommand(),
    resumeCommand(),
    removeCommand(),
    activityCommand(),
    holdCommand(),
    releaseCommand(),
    eventsCommand(),
    logsCommand(),
  ];
  for (const command of sandboxes) program.addCommand(command);
  program.commandsGroup('Saved states:');
  for (const command of [
    snapshotCommand(),
    forkCommand(),
    rollbackCommand(),
    diffCommand(),
    exportCommand(),
    importCommand(),
  ])
    program.addCommand(command);
  program.commandsGroup('In a sandbox:');
  for (const command of [execCommand(), shellCommand(), attachCommand(), psCommand(), killCommand(), copyCommand()])
    program.addCommand(command);
  throwInsteadOfExit(program);
  return program;
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) throwInsteadOfExit(child);
}

async function main(args: readonly string[]): Promise<void> {
  exitWhenReaderLeaves();
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  try {
    await makeProgram().parseAsync([...args], { from: 'user' });
  } catch (error) {
    // Commander has said what is wrong itself.
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageExitCode;
    else process.exitCode = printFailure(error, own.includes('--json'));
  }
}

await main(process.argv.slice(2));
