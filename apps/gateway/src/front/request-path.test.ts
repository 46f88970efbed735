import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem } from '@skerry/model';
import fc from 'fast-check';
import { parseRequestPath } from './request-path.ts';

test('parseRequestPath() decodes segments and keeps the query', () => {
  assert.deepEqual(parseRequestPath('/v1/s%61ndboxes/x/files?path=/a/../b'), {
    segments: ['v1', 'sandboxes', 'x', 'files'],
    query: 'path=/a/../b',
  });
  assert.deepEqual(parseRequestPath('/'), { segments: [''], query: '' });
  assert.deepEqual(parseRequestPath('/a/'), { segments: ['a', ''], query: '' });
});

test('parseRequestPath() agrees with the URL parser about every path that it takes', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom('/', '.', '%2e', '%2E', '%2f', '\\', '%5c', 'a', '%', '%61', ';', '?', '#', '%00', ' ', 'ü'),
      ),
      (parts) => {
        const target = `/${parts.join('')}`;
        let path: ReturnType<typeof parseRequestPath>;
        try {
          path = parseRequestPath(target);
        } catch (error) {
          assert.ok(error instanceof Problem);
          return;
        }
        const url = new URL(`http://x${target}`);
        assert.deepEqual(url.pathname.slice(1).split('/').map(decodeURIComponent), path.segments);
      },
    ),
    { numRuns: 2000 },
  );
});
