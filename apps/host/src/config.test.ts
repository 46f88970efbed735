import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Problem } from '@skerry/model';
import type { HostConfig } from '@skerry/protocol';
import { parseConfig } from './config.ts';
import { parseOpenFiles } from './open-files.ts';

const config: HostConfig = {
  version: 1,
  instance: 'abc123',
  storeDir: '/data/store',
  storeImage: '/data/store.img',
  storeSizeMiB: 1024,
  runDir: '/run/skerry/abc123',
  socketPath: '/run/skerry/abc123/host/host.sock',
  artifacts: {
    runsc: { path: '/cache/runsc', version: 'v' },
    guest: { path: '/cache/guest', sha256: 'a'.repeat(64), version: 'v' },
    images: [{ name: 'base', key: '0123456789abcdef', archive: '/cache/a', manifest: '/cache/m' }],
    machine: { caBundle: null, env: {} },
  },
  network: { subnet: '10.9.0.0/20', gatewayUid: 10, egressUid: 11, resolverPort: 53, allowEgress: [] },
  logLevel: 'info',
};

test('parseConfig() reads what the supervisor writes', () => {
  assert.deepEqual(parseConfig(JSON.stringify(config)), config);
});

test('parseConfig() refuses relative paths, foreign instance names and other versions, naming the field', () => {
  for (const [wrong, field] of [
    [{ ...config, storeDir: 'store' }, /storeDir/],
    [{ ...config, instance: 'a/../b' }, /instance/],
    [{ ...config, version: 2 }, /version/],
  ] as const)
    assert.throws(() => parseConfig(JSON.stringify(wrong)), field);
});

test('parseConfig() answers any text with a problem', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => parseConfig(text), Problem);
    }),
  );
});

test('parseOpenFiles() reads both limits', () => {
  assert.deepEqual(
    parseOpenFiles(
      'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 unlimited            files\n',
    ),
    {
      soft: 1024,
      hard: Number.POSITIVE_INFINITY,
    },
  );
});
