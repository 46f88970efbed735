import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { iniValue, packageClientEnv, readCaBundle, validCertificates } from './machine-settings.ts';

const [FIRST = '', SECOND = ''] = rootCertificates;
const NO_FILES = { npm_config_globalconfig: '/nonexistent', PIP_CONFIG_FILE: '/nonexistent' };

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'skerry-machine-test-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('validCertificates() keeps certificates and drops comments, keys and damaged ones', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n';
  const damaged = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  assert.deepEqual(validCertificates(`# ours\n${FIRST}\n${key}${damaged}${SECOND}`).length, 2);
  assert.deepEqual(validCertificates(''), []);
});

test('readCaBundle() joins the .crt files of a folder without duplicates, and is null when there is none', async () => {
  await inFolder(async (folder) => {
    assert.equal(await readCaBundle(folder), null);
    assert.equal(await readCaBundle(join(folder, 'missing')), null);
    await mkdir(join(folder, 'company'));
    await writeFile(join(folder, 'b.crt'), FIRST);
    await writeFile(join(folder, 'company', 'a.crt'), `${FIRST}\n${SECOND}`);
    await writeFile(join(folder, 'note.txt'), SECOND);
    const bundle = await readCaBundle(folder);
    assert.equal(bundle?.match(/BEGIN CERTIFICATE/g)?.length, 2);
  });
});

test('packageClientEnv() is empty on a machine where nobody set anything', async () => {
  await inFolder(async (home) => assert.deepEqual(await packageClientEnv('', NO_FILES, home), {}));
});

test('packageClientEnv() reads the clients own files and variables', async () => {
  await inFolder(async (home) => {
    await writeFile(
      join(home, '.npmrc'),
      '; mine\nregistry = "https://npm.example/"\n//npm.example/:_authToken=secret\n',
    );
    await mkdir(join(home, '.config', 'pip'), { recursive: true });
    await writeFile(
      join(home, '.config', 'pip', 'pip.conf'),
      '[global]\nindex-url = https://pip.example/simple\nfind-links = /opt\n',
    );
    assert.deepEqual(await packageClientEnv('https://go.example,direct', NO_FILES, home), {
      npm_config_registry: 'https://npm.example/',
      PIP_INDEX_URL: 'https://pip.example/simple',
      GOPROXY: 'https://go.example,direct',
    });
    const env = { ...NO_FILES, PIP_INDEX_URL: 'https://other.example/simple' };
    assert.equal((await packageClientEnv('', env, home))['PIP_INDEX_URL'], 'https://other.example/simple');
  });
});

test('packageClientEnv() leaves out addresses with credentials and paths', async () => {
  await inFolder(async (home) => {
    const env = { ...NO_FILES, PIP_INDEX_URL: 'https://me:secret@pip.example/simple', npm_config_registry: '/srv/npm' };
    assert.deepEqual(await packageClientEnv('https://me:secret@go.example', env, home), {});
  });
});

test('iniValue() takes the last value and ignores comments', () => {
  assert.equal(iniValue('a=1\n#a=2\n a = 3 \n', 'a'), '3');
  assert.equal(iniValue('a=\n', 'a'), undefined);
  assert.equal(iniValue('ab=1\n', 'a'), undefined);
});
