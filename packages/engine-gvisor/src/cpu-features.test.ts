import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCpuFeatures } from './cpu-features.ts';

test('readCpuFeatures() gives what programs can use, sorted, of either architecture', () => {
  const intel =
    'processor\t: 0\nflags\t\t: fpu sse2 avx512f hypervisor nopl aes ibrs\nbugs\t\t: x\n\nprocessor\t: 1\nflags\t\t: fpu\n';
  assert.deepEqual(readCpuFeatures(intel), ['aes', 'avx512f', 'fpu', 'sse2']);
  assert.deepEqual(readCpuFeatures('processor\t: 0\nFeatures\t: fp asimd sha2\n'), ['asimd', 'fp', 'sha2']);
  assert.deepEqual(readCpuFeatures(''), []);
});
