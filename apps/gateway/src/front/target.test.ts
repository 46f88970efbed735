import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem } from '@skerry/model';
import fc from 'fast-check';
import { chooseTarget } from './target.ts';

const domain = 'skerry.localhost';
const id = `sb${'x'.repeat(20)}`;

test('chooseTarget() tells API and sandboxes apart', () => {
  const api = { kind: 'api' };
  const box = (port: number, by: 'host' | 'header', sandbox = id): unknown => ({ kind: 'sandbox', sandbox, port, by });
  assert.deepEqual(chooseTarget('127.0.0.1:7070', undefined, undefined, domain), api);
  assert.deepEqual(chooseTarget(`api.${domain}:7070`, undefined, undefined, domain), api);
  assert.deepEqual(chooseTarget('my-machine', undefined, undefined, domain), api);
  assert.deepEqual(chooseTarget('localhost', id, undefined, domain), box(49983, 'header'));
  assert.deepEqual(chooseTarget('localhost', id, '3000', domain), box(3000, 'header'));
  assert.deepEqual(chooseTarget(`3000-${id}.${domain}:7070`, undefined, undefined, domain), box(3000, 'host'));
  assert.deepEqual(chooseTarget(`3000-my-box.${domain}`, id, '80', domain), box(3000, 'host', 'my-box'));
  assert.deepEqual(chooseTarget(`3000-${id}.elsewhere`, undefined, undefined, domain), api);
  for (const host of [
    undefined,
    '',
    'a b',
    'a/b',
    '[::zz]',
    'a:b',
    'a:99999999',
    'ü',
    `0-${id}.${domain}`,
    `70000-${id}.${domain}`,
    `49982-${id}.${domain}`,
    `${id}.${domain}`,
    `a.3000-${id}.${domain}`,
  ])
    assert.throws(() => chooseTarget(host, undefined, undefined, domain), Problem, String(host));
  assert.throws(() => chooseTarget('localhost', `${id}, ${id}`, undefined, domain), { reason: 'invalid_sandbox' });
  assert.throws(() => chooseTarget('localhost', undefined, '80', domain), { reason: 'invalid_sandbox_header' });
});

test('chooseTarget() never gives the control port, nor a port that cannot be', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.option(fc.string(), { nil: undefined }),
      fc.oneof(fc.string(), fc.integer().map(String)),
      (host, sandbox, port) => {
        try {
          const target = chooseTarget(host, sandbox, port, domain);
          if (target.kind === 'sandbox') assert.ok(target.port >= 1 && target.port <= 65535 && target.port !== 49982);
        } catch (error) {
          assert.ok(error instanceof Problem);
        }
      },
    ),
  );
});
