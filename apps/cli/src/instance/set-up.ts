import { spawn } from 'node:child_process';
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SkerryError } from '@skerry/sdk';
import { checkout } from './paths.ts';

/** Prepares the machine as far as that is missing, and leaves what it made and found in the data directory. Gives back that file. */
export async function setUp(dataDir: string, onProgress: (line: string) => void): Promise<string> {
  const child = spawn(process.execPath, [join(checkout, 'setup/main.ts'), '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const last: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    last.push(line);
    if (last.length > 5) last.shift();
    onProgress(line);
  });
  let answer = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    answer += chunk;
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (status !== 0)
    throw new SkerryError({
      code: 'precondition_failed',
      reason: 'set_up_failed',
      message: last.find((line) => line.startsWith('set-up failed')) ?? `Set-up ended with status ${status}`,
      hint: last.at(-1) ?? 'Run "skerry doctor": it says what this machine lacks.',
      status: 0,
    });
  const file = join(dataDir, 'artifacts.json');
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  await writeFile(`${file}.new`, answer, { mode: 0o600 });
  await chmod(`${file}.new`, 0o600);
  await rename(`${file}.new`, file);
  return file;
}
