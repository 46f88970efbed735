import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { askSupervisor, type SupervisorStatus } from '../../instance/control.ts';
import { connect } from '../../instance/find.ts';
import { dataDirOf } from '../../instance/paths.ts';
import { printJson, printLine } from '../../output/print.ts';
import { tableLines } from '../../output/table.ts';
import { formatAge, formatMiB } from '../../output/units.ts';

export function statusCommand(): Command {
  return makeCommand('status', 'what runs, where, and how many sandboxes').action(async (options: CommonOptions) => {
    const skerry = await connect(options);
    const remote = options.data === undefined && (process.env['SKERRY_URL'] ?? '') !== '';
    const [system, supervisor] = await Promise.all([
      skerry.system.get(),
      remote
        ? undefined
        : askSupervisor<SupervisorStatus>(dataDirOf(options), 'GET', '/v1/status').catch(() => undefined),
    ]);
    if (options.json) {
      printJson({ url: skerry.url, ...system, ...(supervisor === undefined ? {} : { supervisor }) });
      return;
    }
    const counts = Object.entries(system.sandboxes).filter(([, count]) => count > 0);
    const facts: [string, string][] = [
      ['address', skerry.url],
      ['version', system.version],
      ['instance', system.instance],
      ...(supervisor === undefined
        ? []
        : ([['up for', formatAge(new Date(supervisor.upSinceMs).toISOString())]] as [string, string][])),
      [
        'backend',
        `${system.backend.state}: ${system.backend.engines.map((engine) => `${engine.name} (${engine.isolation})`).join(', ') || 'no engine'}`,
      ],
      [
        'machine',
        `${system.backend.cpus} CPUs, ${formatMiB(system.backend.memoryMiB)}, ${formatMiB(Math.floor(system.backend.diskFreeBytes / 1024 / 1024))} of disk free`,
      ],
      ['sandboxes', counts.length === 0 ? 'none' : counts.map(([status, count]) => `${count} ${status}`).join(', ')],
    ];
    for (const [name, value] of facts) printLine(`${name.padEnd(10)} ${value}`);
    if (supervisor === undefined) return;
    printLine('');
    const rows = supervisor.programs.map((program) => [
      program.name,
      program.state,
      String(program.pid ?? ''),
      String(program.restarts),
    ]);
    for (const line of tableLines(['PROGRAM', 'STATE', 'PID', 'RESTARTS'], rows)) printLine(line);
  });
}
