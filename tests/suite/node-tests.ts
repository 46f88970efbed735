import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from './child.ts';
import { addCounts, type Counts, NONE, type Suite, verdict } from './stage.ts';

export interface NodeTestOptions {
  /** Files at once. With 1 a file's output is shown as it comes, otherwise only when the file fails. */
  readonly concurrency: number;
  readonly fileTimeoutMs: number;
}

/** Test files below the repository that match a pattern and none of the excluded ones, sorted. */
export function findTests(suite: Suite, patterns: readonly string[], excluded?: RegExp): string[] {
  const found = globSync(patterns, { cwd: suite.repository, exclude: ['**/node_modules'] });
  return found.filter((path) => excluded?.test(path) !== true).sort();
}

/**
 * Runs each test file in a process of its own and counts the tests. A file that does not end in time is killed alone, so that it costs its
 * own result and no other's; it counts as one failure, as does a file that ends without totals.
 */
export async function runNodeTests(suite: Suite, files: readonly string[], options: NodeTestOptions): Promise<Counts> {
  if (files.length === 0) {
    process.stdout.write('There are no tests of this kind.\n');
    return verdict(false);
  }
  const folder = await mkdtemp(join(tmpdir(), 'skerry-suite-'));
  const waiting = [...files.entries()];
  let total = NONE;
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !suite.signal.aborted; next = waiting.shift()) {
      const [index, file] = next;
      // Awaited first: the other lane changes the total meanwhile.
      const counts = await runFile(suite, file, join(folder, `${index}.json`), options);
      total = addCounts(total, counts);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.concurrency }, () => lane()));
    return total;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runFile(suite: Suite, file: string, totals: string, options: NodeTestOptions): Promise<Counts> {
  const begun = performance.now();
  const shown = options.concurrency === 1;
  if (shown) process.stdout.write(`-- ${file}\n`);
  const args = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${join(import.meta.dirname, 'count-reporter.ts')}`,
    `--test-reporter-destination=${totals}`,
    file,
  ];
  const end = await runChild(suite, process.execPath, args, { capture: !shown, timeoutMs: options.fileTimeoutMs });
  const line = (await readFile(totals, 'utf8').catch(() => '')).trim();
  let counts = line === '' ? verdict(false) : (JSON.parse(line) as Counts);
  if (end.code !== 0 && counts.failed === 0) counts = addCounts(counts, verdict(false));
  if (counts.passed + counts.failed + counts.skipped === 0) counts = verdict(false);
  const good = counts.failed + counts.skipped === 0;
  if (!good) process.stdout.write(end.stdout);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(
    `${good ? 'ok    ' : 'FAILED'} ${file}: ${counts.passed} of ${counts.passed + counts.failed + counts.skipped} in ${seconds} s\n`,
  );
  return counts;
}
