import type { CreateSandboxBody } from '@skerry/sdk';
import { type Command, Option } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { usageError } from '../../output/failure.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { resumeText } from '../../output/resume.ts';
import { durationOption, durationOrNeverOption, numberOption, pairOption, sizeOption } from '../../output/units.ts';

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
  readonly onTimeout?: RestAction;
  readonly from?: string;
  readonly diskOnly?: boolean;
  readonly restAfter?: number | 'never';
  readonly rest?: RestAction;
  readonly wakeOn?: 'request' | 'api' | 'never';
  readonly expireAfter?: number | 'never';
  readonly wait: boolean;
}

type RestAction = 'pause' | 'stop' | 'delete';
const restActions: readonly RestAction[] = ['pause', 'stop', 'delete'];

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

/** The part of a create call that says when it rests; absent when nothing was said. */
function restOf(options: CreateOptions): CreateSandboxBody['rest'] {
  const rest = {
    ...(options.restAfter === undefined ? {} : { afterMs: orNull(options.restAfter) }),
    ...(options.rest === undefined ? {} : { action: options.rest }),
    ...(options.wakeOn === undefined ? {} : { wakeOn: options.wakeOn }),
    ...(options.expireAfter === undefined ? {} : { expireAfterMs: orNull(options.expireAfter) }),
  };
  return Object.keys(rest).length === 0 ? undefined : rest;
}

function orNull(duration: number | 'never'): number | null {
  return duration === 'never' ? null : duration;
}

export function createCommand(): Command {
  return withShapeOptions(makeCommand('create', 'make a sandbox and start it; prints its name'))
    .argument('[name]', 'a name (made up when absent)')
    .option('--ephemeral', 'its end deletes it, without a trace')
    .option('--env <key=value>', 'environment of everything in it; may be repeated', pairOption)
    .option('--label <key=value>', 'a label; may be repeated', pairOption)
    .option('--from <snapshot>', 'go on from this snapshot, memory included')
    .option('--disk-only', 'boot from the files of --from, without its memory')
    .option('--rest-after <duration>', 'rest after so long without work, or "never" (10m)', durationOrNeverOption)
    .addOption(new Option('--rest <what>', 'what resting is (pause)').choices(restActions))
    .addOption(
      new Option('--wake-on <what>', 'what wakes it when it is paused (request)').choices(['request', 'api', 'never']),
    )
    .option(
      '--expire-after <duration>',
      'delete it when it has rested so long, or "never" (never)',
      durationOrNeverOption,
    )
    .option('--timeout <duration>', 'after this time --on-timeout happens (never)', durationOption)
    .addOption(new Option('--on-timeout <what>', 'what happens then (stop)').choices(restActions))
    .option('--no-wait', 'do not wait until it runs')
    .action(async (name: string | undefined, options: CreateOptions) => {
      if (options.onTimeout !== undefined && options.timeout === undefined)
        throw usageError('--on-timeout needs --timeout', 'Say when, such as --timeout 2h.');
      if (options.diskOnly === true && options.from === undefined)
        throw usageError('--disk-only needs --from', 'Name a snapshot, such as --from before-upgrade.');
      if (name !== undefined && !/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
        throw usageError(
          `The name "${name}" is not allowed`,
          'Use 1 to 63 of a-z, 0-9 and "-", beginning and ending with a letter or a digit.',
        );
      const { sandboxes } = await connect(options);
      const rest = restOf(options);
      const sandbox = await sandboxes.create(
        {
          ...shapeOf(options),
          ...(name === undefined ? {} : { name }),
          ...(options.ephemeral === true ? { kind: 'ephemeral' } : {}),
          ...(options.env === undefined ? {} : { env: options.env }),
          ...(options.label === undefined ? {} : { labels: options.label }),
          ...(options.from === undefined ? {} : { from: options.from }),
          ...(options.diskOnly === true ? { diskOnly: true } : {}),
          ...(rest === undefined ? {} : { rest }),
          ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
          ...(options.onTimeout === undefined ? {} : { onTimeout: options.onTimeout }),
        },
        options.wait ? {} : { wait: false },
      );
      if (options.json) printJson(sandbox.view);
      else {
        printLine(sandbox.name);
        if (sandbox.view.resume?.from === 'disk' && options.diskOnly !== true) printNote(resumeText(sandbox.view));
        if (options.wait && sandbox.view.status !== 'running')
          printNote(`"${sandbox.name}" is ${sandbox.view.status}; see "skerry get ${sandbox.name}".`);
      }
    });
}
