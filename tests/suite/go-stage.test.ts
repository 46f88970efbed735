import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countGoTests } from './go-stage.ts';

const line = (event: Record<string, string>): string => JSON.stringify(event);

test('countGoTests() counts tests, not packages', () => {
  const { counts } = countGoTests(
    [
      line({ Action: 'pass', Package: 'p', Test: 'A' }),
      line({ Action: 'skip', Package: 'p', Test: 'B' }),
      line({ Action: 'pass', Package: 'p' }),
      line({ Action: 'skip', Package: 'empty' }),
    ].join('\n'),
  );
  assert.deepEqual(counts, { passed: 1, failed: 0, skipped: 1 });
});

test('countGoTests() counts a failed test once and shows its output', () => {
  const { counts, failures } = countGoTests(
    [
      line({ Action: 'output', Package: 'p', Test: 'A', Output: 'because\n' }),
      line({ Action: 'fail', Package: 'p', Test: 'A' }),
      line({ Action: 'fail', Package: 'p' }),
    ].join('\n'),
  );
  assert.deepEqual(counts, { passed: 0, failed: 1, skipped: 0 });
  assert.match(failures, /because/);
});

test('countGoTests() counts a package that does not compile as a failure', () => {
  assert.deepEqual(countGoTests(line({ Action: 'fail', Package: 'p' })).counts, { passed: 0, failed: 1, skipped: 0 });
});
