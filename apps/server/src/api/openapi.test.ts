import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { openapiFile, openapiOfAll } from '../openapi-file.ts';

test('openapi/v1.json is what the routes are', async () => {
  const committed = await readFile(openapiFile, 'utf8').catch(() => '');
  const generated = await openapiOfAll();
  assert.ok(
    committed === generated,
    'openapi/v1.json is not current. Rewrite it with: node apps/server/src/openapi-file.ts --write',
  );
  const document = JSON.parse(generated) as {
    paths: Record<string, unknown>;
    components: { schemas: Record<string, unknown> };
  };
  for (const path of [
    '/v1/sandboxes',
    '/v1/sandboxes/{sandbox}/exec',
    '/v1/sandboxes/{sandbox}/files',
    '/v1/keys',
    '/health',
  ])
    assert.ok(path in document.paths, path);
  const named = Object.keys(document.components.schemas);
  for (const [, name] of generated.matchAll(/"#\/components\/schemas\/([A-Za-z]+)"/g))
    assert.ok(named.includes(name ?? ''), name);
});
