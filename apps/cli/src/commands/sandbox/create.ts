import { type Command, Option } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { usageError } from '../../output/failure.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { durationOption, numberOption, pairOption, sizeOption } from '../../output/units.ts';

/** Options that say what a sandbox is made of. */
export interface ShapeOptions {
  readonly template?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly isolation?: 'gvisor' | 'microvm' | 'any';
}

interface CreateOptions extends CommonOptions, ShapeOptions {
  readonly ephemeral?: boolean;
  readonly env?: Record<string, string>;
  readonly label?: Record<string, string>;
  readonly timeout?: number;
  readonly onTimeout?: 'stop' | 'delete';
  readonly wait: boolean;
}

export function withShapeOptions(command: Command): Command {
  return command
    .option('--template <name>', 'what it is made from (base)')
    .option('--cpus <n>', 'CPU time in cores (2)', numberOption)
    .option('--memory <size>', 'memory (1GiB)', sizeOption)
    .option('--disk <size>', 'most that may be written on top of the template (10GiB)', sizeOption)
    .addOption(
      new Option('--isolation <kind>', 'the weakest isolation that will do (any)').choices([
        'gvisor',
        'microvm',
        'any',
      ]),
    );
}

/** The part of a create call that these options stand for. */
export function shapeOf(options: ShapeOptions): {
  template?: string;
  cpus?: number;
  memoryMiB?: number;
  diskMiB?: number;
  isolation?: 'gvisor' | 'microvm' | 'any';
} {
  return {
    ...(options.template === undefined ? {} : { template: options.template }),
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
    ...(options.memory === undefined ? {} : { memoryMiB: options.memory }),
    ...(options.disk === undefined ? {} : { diskMiB: options.disk }),
    ...(options.isolation === undefined ? {} : { isolation: options.isolation }),
  };
}

export function createCommand(): Command {
  return withShapeOptions(makeCommand('create', 'make a sandbox and start it; prints its name'))
    .argument('[name]', 'a name (made up when absent)')
    .option('--ephemeral', 'its end deletes it, without a trace')
    .option('--env <key=value>', 'environment of everything in it; may be repeated', pairOption)
    .option('--label <key=value>', 'a label; may be repeated', pairOption)
    .option('--timeout <duration>', 'after this time --on-timeout happens (never)', durationOption)
    .addOption(new Option('--on-timeout <what>', 'stop or delete (stop)').choices(['stop', 'delete']))
    .option('--no-wait', 'do not wait until it runs')
    .action(async (name: string | undefined, options: CreateOptions) => {
      if (options.onTimeout !== undefined && options.timeout === undefined)
        throw usageError('--on-timeout needs --timeout', 'Say when, such as --timeout 2h.');
      if (name !== undefined && !/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
        throw usageError(
          `The name "${name}" is not allowed`,
          'Use 1 to 63 of a-z, 0-9 and "-", beginning and ending with a letter or a digit.',
        );
      const { sandboxes } = await connect(options);
      const sandbox = await sandboxes.create(
        {
          ...shapeOf(options),
          ...(name === undefined ? {} : { name }),
          ...(options.ephemeral === true ? { kind: 'ephemeral' } : {}),
          ...(options.env === undefined ? {} : { env: options.env }),
          ...(options.label === undefined ? {} : { labels: options.label }),
          ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
          ...(options.onTimeout === undefined ? {} : { onTimeout: options.onTimeout }),
        },
        options.wait ? {} : { wait: false },
      );
      if (options.json) printJson(sandbox.view);
      else {
        printLine(sandbox.name);
        if (options.wait && sandbox.view.status !== 'running')
          printNote(`"${sandbox.name}" is ${sandbox.view.status}; see "skerry get ${sandbox.name}".`);
      }
    });
}
