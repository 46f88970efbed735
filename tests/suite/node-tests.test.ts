import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findTests, runNodeTests } from './node-tests.ts';
import type { Counts, Suite } from './stage.ts';

async function countsOf(files: Readonly<Record<string, string>>): Promise<Counts> {
  const repository = await mkdtemp(join(tmpdir(), 'skerry-node-tests-'));
  try {
    for (const [name, body] of Object.entries(files)) {
      await writeFile(join(repository, name), `import { describe, test } from 'node:test';\n${body}\n`);
    }
    const suite: Suite = {
      repository,
      signal: new AbortController().signal,
      env: new Map([['NODE_TEST_CONTEXT', '']]),
    };
    const found = findTests(suite, ['*.test.mjs']);
    return await runNodeTests(suite, found, { concurrency: 2, fileTimeoutMs: 3_000 });
  } finally {
    await rm(repository, { recursive: true, force: true });
  }
}

test('runNodeTests() sums what files at once report', async () => {
  const one = "test('a', () => {}); describe('s', () => { test('b', () => {}); });";
  assert.deepEqual(await countsOf({ 'a.test.mjs': one, 'b.test.mjs': one, 'c.test.mjs': one, 'd.test.mjs': one }), {
    passed: 8,
    failed: 0,
    skipped: 0,
  });
});

test('runNodeTests() counts failures, skips, crashes, empty files and files that do not end', async () => {
  const counts = await countsOf({
    'fails.test.mjs': "test('a', () => { throw new Error('no'); });",
    'skips.test.mjs': "test('a', { skip: true }, () => {}); test('b', { todo: 'later' }, () => {});",
    'crashes.test.mjs': 'process.exit(0);',
    'empty.test.mjs': '',
    'hangs.test.mjs': "setInterval(() => {}, 1000); test('a', () => new Promise(() => {}));",
  });
  assert.deepEqual(counts, { passed: 0, failed: 4, skipped: 2 });
});

test('runNodeTests() fails when there is nothing to run', async () => {
  assert.deepEqual(await countsOf({}), { passed: 0, failed: 1, skipped: 0 });
});
