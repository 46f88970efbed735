import { openSync } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';

const rotateBytes = 16 * 1024 * 1024;
const tailBytes = 16 * 1024;

/** Opens a log for appending; a large one makes room first. */
export async function openLog(file: string): Promise<number> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size > rotateBytes) await rename(file, `${file}.1`);
  // The descriptor belongs to the caller, who hands it to a child and closes it.
  return openSync(file, 'a', 0o600);
}

export interface LastWords {
  readonly message: string;
  readonly hint?: string;
}

/** The last error in a log: why a program did not start. */
export async function lastWords(file: string): Promise<LastWords | undefined> {
  return lastWordsOf(await tail(file));
}

/** The last error in a text of JSON lines, or its last line. */
export function lastWordsOf(text: string): LastWords | undefined {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  for (const line of lines.toReversed()) {
    try {
      const entry = JSON.parse(line) as Record<string, unknown>;
      const message = entry['message'] ?? entry['msg'];
      const grave = entry['level'] === 'error' || Number(entry['level']) >= 50;
      if (!grave || typeof message !== 'string') continue;
      const inner = entry['error'] ?? entry['detail'];
      const detail = typeof inner === 'string' && inner !== message ? `${message}: ${inner}` : message;
      const hint = entry['hint'];
      return typeof hint === 'string' ? { message: detail, hint } : { message: detail };
    } catch {
      // Not JSON: the interpreter or a shell speaks.
      const crash = /^(?:\w*Error\b.*|sh: .*|setpriv: .*|unshare: .*|mount: .*)$/.exec(line);
      if (crash !== null) return { message: line };
    }
  }
  const last = lines.at(-1);
  return last === undefined ? undefined : { message: last.slice(0, 500) };
}

async function tail(file: string): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    await handle.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString();
  } finally {
    await handle.close();
  }
}
