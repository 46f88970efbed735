import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { SkerryError } from '@skerry/sdk';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { askSupervisor, controlSocketOf, type DownResult, type SupervisorStatus } from '../../instance/control.ts';
import { narrate } from '../../instance/narrate.ts';
import { dataDirOf } from '../../instance/paths.ts';
import { failureOf, type SupervisorEvent, startSupervisor } from '../../instance/supervisor.ts';
import { printJson, printLine } from '../../output/print.ts';

export function downCommand(): Command {
  return makeCommand('down', 'pause persistent sandboxes, delete ephemeral ones, end everything').action(
    async (options: CommonOptions) => {
      const dataDir = dataDirOf(options);
      const result = await bringDown(dataDir);
      if (options.json) printJson(result ?? { running: false });
      else printLine(result === undefined ? `Skerry does not run in "${dataDir}"` : downText(result));
      if (result?.problem !== undefined) process.exitCode = 1;
    },
  );
}

/** Brings an instance down, whether its supervisor lives or not. Gives back `undefined` when nothing was up. */
export async function bringDown(dataDir: string): Promise<DownResult | undefined> {
  const status = await askSupervisor<SupervisorStatus>(dataDir, 'GET', '/v1/status');
  if (status !== undefined) {
    const result = await askSupervisor<DownResult>(dataDir, 'POST', '/v1/down', {});
    await untilGone(status.pid);
    return result ?? { hard: false };
  }
  const socket = await controlSocketOf(dataDir);
  if (socket === undefined || !(await exists(socket.slice(0, socket.indexOf('/supervisor/'))))) return undefined;
  // A supervisor that was killed left the rest behind: a new one brings it down.
  let rested: Extract<SupervisorEvent, { event: 'rested' }> | undefined;
  let failed: Extract<SupervisorEvent, { event: 'failed' }> | undefined;
  const supervisor = await startSupervisor(dataDir, ['--down'], (event) => {
    if (event.event === 'rested') rested = event;
    if (event.event === 'failed') failed = event;
    narrate(event);
  });
  const ended = await supervisor.ended;
  if (failed !== undefined) throw failureOf(failed);
  if (ended !== 0)
    throw new SkerryError({
      code: 'internal',
      reason: 'down_failed',
      message: `The supervisor ended with status ${ended ?? 'of a signal'}`,
      hint: `See ${join(dataDir, 'log/supervisor.log')}; "skerry doctor" names what is left.`,
      status: 0,
    });
  return { hard: false, ...(rested === undefined ? {} : { rested }) };
}

function downText(result: DownResult): string {
  const lines: string[] = [];
  const { paused = [], rested = [], deleted = [] } = result.rested ?? {};
  if (paused.length > 0) lines.push(`Paused, with their memory: ${paused.join(', ')}`);
  if (rested.length > 0) lines.push(`Stopped: ${rested.join(', ')}`);
  if (deleted.length > 0) lines.push(`Deleted: ${deleted.join(', ')}`);
  for (const { name, message } of result.rested?.failed ?? []) lines.push(`"${name}" did not come to rest: ${message}`);
  if (result.problem !== undefined) lines.push(`The sandboxes did not come to rest: ${result.problem}`);
  const back = paused.length + rested.length > 0 ? ' "skerry up" brings back what ran.' : '';
  return [...lines, `Skerry is down.${back}`].join('\n');
}

async function untilGone(pid: number): Promise<void> {
  for (let n = 0; n < 200; n++) {
    if (!(await exists(`/proc/${pid}`))) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
