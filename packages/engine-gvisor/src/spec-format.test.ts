import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fakeBootSpec } from '@skerry/engine/fake';
import { isId } from '@skerry/model';
import { bootConfig, specVersion } from './spec-format.ts';

const bootId = 'bt00000000000000000001';
if (!isId('boot', bootId)) throw new Error('The fixed id is none');
const spec = fakeBootSpec({ bootId, guestEnv: { SKERRY_BOOT_SECRET: 'secret' } });

test('bootConfig() is what memory images of this version were taken with', async () => {
  const golden = join(import.meta.dirname, `../fixtures/config-v${specVersion}.json`);
  assert.deepEqual(bootConfig(spec, `/skerry-i1/${bootId}`), JSON.parse(await readFile(golden, 'utf8')));
});

test('bootConfig() has the same mounts, rlimits and arguments whatever the resources and the names', () => {
  const other = fakeBootSpec({
    directory: '/o',
    root: '/o/r',
    hostname: 'o',
    resolvConf: '/o/c',
    guestPath: '/o/g',
    cpus: 8,
    memoryMiB: 9000,
  });
  const constant = (config: object): unknown => {
    const { process, mounts, annotations } = config as {
      process: Record<string, unknown>;
      mounts: Record<string, unknown>[];
      annotations: unknown;
    };
    const { env: _env, ...rest } = process;
    return { rest, annotations, mounts: mounts.map(({ source: _source, ...mount }) => mount) };
  };
  assert.deepEqual(constant(bootConfig(other, '/o')), constant(bootConfig(spec, '/s')));
});
