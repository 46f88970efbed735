import type { SandboxView } from '@skerry/sdk';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { paintStatus } from '../../output/status.ts';
import { restText, resumeText } from '../../output/resume.ts';
import { formatAge, formatMiB } from '../../output/units.ts';

export function getCommand(): Command {
  return makeCommand('get', 'everything about a sandbox')
    .argument('<name>', 'name or id')
    .action(async (name: string, options: CommonOptions) => {
      const { view } = await (await connect(options)).sandboxes.get(name);
      if (options.json) {
        printJson(view);
        return;
      }
      for (const [label, value] of facts(view)) printLine(`${label.padEnd(10)} ${value}`);
    });
}

function facts(view: SandboxView): [string, string][] {
  const pairs = (record: Readonly<Record<string, string>>): string =>
    Object.entries(record)
      .map(([key, value]) => `${key}=${value}`)
      .join(' ');
  const all: [string, string | undefined][] = [
    ['name', view.name],
    ['id', view.id],
    ['status', `${paintStatus(view.status)} (${view.reason.replaceAll('_', ' ')})`],
    ['failure', view.failure === undefined ? undefined : `${view.failure.message} ${view.failure.hint}`],
    [
      'remains',
      view.failure === undefined || view.failure.remains.length === 0 ? undefined : view.failure.remains.join(', '),
    ],
    ['kind', view.kind],
    ['template', view.template],
    ['limits', `${view.cpus} CPUs, ${formatMiB(view.memoryMiB)} of memory, ${formatMiB(view.diskMiB)} of disk`],
    [
      'engine',
      view.engine === undefined ? undefined : `${view.engine.name} ${view.engine.version} (${view.engine.isolation})`,
    ],
    ['created', `${formatAge(view.createdAt)} ago`],
    ['started', view.startedAt === undefined ? undefined : `${formatAge(view.startedAt)} ago`],
    [
      'last end',
      view.lastExit === undefined
        ? undefined
        : `${view.lastExit.reason.replaceAll('_', ' ')}: ${view.lastExit.detail} (${formatAge(view.lastExit.at)} ago)`,
    ],
    ['paused', view.pausedAt === undefined ? undefined : `${formatAge(view.pausedAt)} ago`],
    ['came back', view.resume === undefined ? undefined : `${resumeText(view)} (${formatAge(view.resume.at)} ago)`],
    ['made from', view.source?.snapshot],
    ['rests', restText(view)],
    ['timeout', view.timeoutAt === undefined ? undefined : `${view.onTimeout} at ${view.timeoutAt}`],
    ['deleted', view.deletedAt === undefined ? undefined : `${formatAge(view.deletedAt)} ago`],
    ['labels', Object.keys(view.labels).length === 0 ? undefined : pairs(view.labels)],
    ['env', Object.keys(view.env).length === 0 ? undefined : pairs(view.env)],
  ];
  return all.flatMap(([label, value]) => (value === undefined ? [] : [[label, value]]));
}
