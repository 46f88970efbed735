import type { Sandbox, Skerry } from '@skerry/sdk';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand, type ProcessOptions, withProcessOptions } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { attach } from '../../terminal/attach.ts';
import { asCommand } from '../../terminal/command-failure.ts';
import { type ShapeOptions, shapeOf, withShapeOptions } from './create.ts';

interface RunOptions extends CommonOptions, ProcessOptions, ShapeOptions {}

/** Should this program be killed, nobody renews the lease and the server deletes the sandbox. */
const leaseMs = 300_000;
const renewEveryMs = 100_000;
const endSignals = { SIGTERM: 143, SIGHUP: 129, SIGINT: 130 } as const;

export function runCommand(): Command {
  return withProcessOptions(
    withShapeOptions(makeCommand('run', 'run a command in a sandbox of its own, which is gone afterwards')),
  )
    .argument('<command...>', 'the command, after "--"; no shell reads it')
    .action(async (command: readonly string[], options: RunOptions) => {
      process.exitCode = await asCommand(async () => runOnce(await connect(options), command, options));
    });
}

async function runOnce(skerry: Skerry, command: readonly string[], options: RunOptions): Promise<number> {
  const name = `run-${crypto.randomUUID().slice(0, 8)}`;
  let sandbox: Sandbox | undefined;
  let attached = false;
  let created: Promise<Sandbox> | undefined;
  let removal: Promise<void> | undefined;
  const remove = (): Promise<void> => {
    removal ??= removeSandbox(skerry, name, created);
    return removal;
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    // While the command runs Ctrl-C is the command's affair; it decides whether that ends it.
    if (signal === 'SIGINT' && attached) return;
    void remove().finally(() => process.exit(endSignals[signal as keyof typeof endSignals]));
  };
  for (const signal of Object.keys(endSignals)) process.on(signal, onSignal);
  const renewal = setInterval(() => {
    if (sandbox !== undefined) skerry.sandboxes.update(sandbox.id, { timeoutMs: leaseMs }).catch(() => undefined);
  }, renewEveryMs);
  try {
    created = skerry.sandboxes.create({
      ...shapeOf(options),
      name,
      kind: 'ephemeral',
      timeoutMs: leaseMs,
      onTimeout: 'delete',
    });
    sandbox = await created;
    const input = !process.stdin.isTTY;
    const running = await sandbox.process.start({
      command,
      user: options.user,
      cwd: options.cwd,
      env: options.env ?? {},
      timeoutMs: options.timeout,
      stdin: input,
    });
    attached = true;
    const { exitCode } = await attach(running, {
      input,
      terminal: false,
      json: options.json === true,
      detachOnPause: false,
      resume: () => skerry.sandboxes.resume(name),
    });
    attached = false;
    return exitCode;
  } finally {
    clearInterval(renewal);
    await remove();
    for (const signal of Object.keys(endSignals)) process.off(signal, onSignal);
  }
}

/** Deletes the sandbox; one whose creation is still under way too. */
async function removeSandbox(skerry: Skerry, name: string, created: Promise<Sandbox> | undefined): Promise<void> {
  if (created === undefined) return;
  const sandbox = await created.catch(() => undefined);
  // A creation that failed may have left it: then it is found by its name, or there is none.
  await skerry.sandboxes.delete(sandbox?.id ?? name).catch((error: unknown) => {
    if (sandbox !== undefined) throw error;
  });
}
