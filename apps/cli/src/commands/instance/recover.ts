import { join } from 'node:path';
import { SkerryError } from '@skerry/sdk';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { narrate } from '../../instance/narrate.ts';
import { dataDirOf } from '../../instance/paths.ts';
import { setUp } from '../../instance/set-up.ts';
import { failureOf, type Recovered, type SupervisorEvent, startSupervisor } from '../../instance/supervisor.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';

export function recoverCommand(): Command {
  return makeCommand('recover', 'while Skerry is down: make a lost database anew from what is on disk')
    .option('--replace', 'also when there is a database: it is put aside, never deleted')
    .action(async (options: CommonOptions & { replace?: boolean }) => {
      const recovered = await recover(dataDirOf(options), options.replace === true);
      if (options.json) printJson(recovered);
      else for (const line of recoveredLines(recovered)) printLine(line);
    });
}

async function recover(dataDir: string, replace: boolean): Promise<Recovered> {
  await setUp(dataDir, printNote);
  let recovered: Recovered | undefined;
  let failed: Extract<SupervisorEvent, { event: 'failed' | 'already_running' }> | undefined;
  const supervisor = await startSupervisor(dataDir, ['--recover', ...(replace ? ['--replace'] : [])], (event) => {
    if (event.event === 'recovered') {
      const { event: _, ...answer } = event;
      recovered = answer;
    } else if (event.event === 'failed' || event.event === 'already_running') failed = event;
    else if (event.event === 'died' || event.event === 'serves') narrate(event);
  });
  const status = await supervisor.ended;
  if (failed?.event === 'failed') throw failureOf(failed);
  if (failed !== undefined)
    throw new SkerryError({
      code: 'conflict',
      reason: 'already_running',
      message: `Skerry runs in "${dataDir}"`,
      hint: 'Bring it down first: "skerry down".',
      status: 0,
    });
  if (recovered === undefined || status !== 0)
    throw new SkerryError({
      code: 'internal',
      reason: 'recover_failed',
      message: `The supervisor ended with status ${status ?? 'of a signal'}`,
      hint: `See ${join(dataDir, 'log/supervisor.log')}, and run "skerry recover" again.`,
      status: 0,
    });
  return recovered;
}

/** What came back and what did not, for a person. */
export function recoveredLines({ sandboxes, snapshots, lost, gone, aside }: Recovered): string[] {
  const names = sandboxes.map(({ name, status }) => `${name} (${status})`);
  return [
    `Sandboxes: ${names.length === 0 ? 'none was found' : names.join(', ')}`,
    ...(snapshots.length === 0 ? [] : [`Snapshots: ${snapshots.map(({ id, name }) => name ?? id).join(', ')}`]),
    ...lost.map(({ kind, id, why }) => `Not brought back: ${kind} ${id}: ${why}`),
    ...(gone.length === 0 ? [] : [`No manifest holds: ${gone.join(', ')}`]),
    ...(aside === undefined ? [] : [`The database that was there is now ${aside}`]),
    'Start Skerry with "skerry up".',
  ];
}
