import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { usageError } from '../../output/failure.ts';
import { printJson, printLine, printNote } from '../../output/print.ts';
import { resumeText } from '../../output/resume.ts';
import { formatDuration } from '../../output/units.ts';

interface ImportOptions extends CommonOptions {
  readonly start: boolean;
  readonly wait: boolean;
}

export function importCommand(): Command {
  return makeCommand('import', 'make a sandbox from a file that "export" wrote; prints its name')
    .argument('<file>', 'the file; "-" is standard input')
    .argument('[name]', 'a name (as it was, or made up)')
    .option('--no-start', 'do not start it')
    .action(async (file: string, name: string | undefined, options: ImportOptions) => {
      const { sandboxes } = await connect(options);
      const beganMs = performance.now();
      const { view } = await sandboxes.import(await read(file), {
        ...(name === undefined ? {} : { name }),
        start: options.start,
      });
      if (options.json) {
        printJson(view);
        return;
      }
      printLine(view.name);
      const story = view.resume === undefined ? '' : `, ${resumeText(view)}`;
      printNote(`Imported in ${formatDuration(performance.now() - beganMs)}; it is ${view.status}${story}.`);
    });
}

async function read(file: string): Promise<ReadableStream<Uint8Array>> {
  if (file === '-') return Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>;
  // Opened first: a file that is not there must not look like a call that broke.
  const handle = await open(file).catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    throw usageError(`Cannot read "${file}": ${code === 'ENOENT' ? 'there is no such file' : message}`);
  });
  return Readable.toWeb(createReadStream('', { fd: handle })) as ReadableStream<Uint8Array>;
}
