import { open, rename, rm } from 'node:fs/promises';
import { SkerryError } from '@skerry/sdk';
import { usageError } from '../output/failure.ts';
import { writeBytes } from '../output/print.ts';
import { formatBytes } from '../output/units.ts';

const showEveryMs = 500;

/** Writes a stream to a file, which appears only when it is whole and on disk; `-` is standard output. Gives back how many bytes it had. */
export async function saveStream(stream: ReadableStream<Uint8Array>, file: string): Promise<number> {
  if (file === '-') return copy(stream, (chunk) => writeBytes(process.stdout, chunk));
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w', 0o600).catch((error: unknown) => {
    throw usageError(`Cannot write "${partial}": ${error instanceof Error ? error.message : String(error)}`);
  });
  try {
    const bytes = await copy(stream, (chunk) => handle.writeFile(chunk));
    await handle.sync();
    await handle.close();
    await rename(partial, file);
    return bytes;
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

async function copy(stream: ReadableStream<Uint8Array>, write: (chunk: Uint8Array) => Promise<void>): Promise<number> {
  let bytes = 0;
  using progress = showProgress(() => bytes);
  const reader = stream.getReader();
  for (;;) {
    const next = await reader.read().catch((cause: unknown) => {
      throw new SkerryError({
        code: 'unavailable',
        reason: 'transfer_broken',
        message: `The transfer broke off after ${formatBytes(bytes)}`,
        hint: 'Try again; nothing was left of it.',
        status: 0,
        cause,
      });
    });
    if (next.done) return bytes;
    await write(next.value);
    bytes += next.value.length;
    progress.touch();
  }
}

/** One line that counts, on a terminal only; gone when it is disposed. */
function showProgress(bytes: () => number): Disposable & { touch(): void } {
  const { stderr } = process;
  let lastMs = performance.now();
  let shown = false;
  return {
    touch: () => {
      if (!stderr.isTTY || performance.now() - lastMs < showEveryMs) return;
      lastMs = performance.now();
      shown = true;
      stderr.write(`\r\x1b[K${formatBytes(bytes())}…`);
    },
    [Symbol.dispose]: () => {
      if (shown) stderr.write('\r\x1b[K');
    },
  };
}
