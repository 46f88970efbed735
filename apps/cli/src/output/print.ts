import { once } from 'node:events';
import type { Writable } from 'node:stream';

let readerLeft: (() => void) | undefined;

/**
 * Ends this program as a shell expects it when the reader of its output has gone away (`skerry ls | head -1` is no error), unless somebody who has
 * to clean up first wants to be told.
 */
export function exitWhenReaderLeaves(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (readerLeft === undefined) process.exit(141);
      readerLeft();
    });
}

/** Has `told` called when the reader of the output goes away; until it is disposed that does not end this program. */
export function onReaderLeft(told: () => void): Disposable {
  readerLeft = told;
  return {
    [Symbol.dispose]: () => {
      readerLeft = undefined;
    },
  };
}

/** Writes bytes and waits until there is room for more. What nobody reads any more is dropped. */
export async function writeBytes(stream: Writable, data: Uint8Array | string): Promise<void> {
  if (stream.errored !== null || stream.write(data)) return;
  await once(stream, 'drain').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  });
}

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** A remark for the person at the terminal; never part of the result. */
export function printNote(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Paints text, on a terminal only and unless `NO_COLOR` is set. */
export function paint(
  text: string,
  colour: 'red' | 'green' | 'yellow' | 'dim' | 'bold',
  stream: { isTTY?: boolean } = process.stdout,
): string {
  if (stream.isTTY !== true || process.env['NO_COLOR'] !== undefined) return text;
  const codes = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;
  return `\x1b[${codes[colour]}m${text}\x1b[0m`;
}
