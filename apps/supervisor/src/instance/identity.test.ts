import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseNameServers } from './config-files.ts';
import { ensureSecrets, type InstanceIdentity, readIdentity, writeIdentity } from './identity.ts';

const identity: InstanceIdentity = {
  version: 1,
  id: 'abc123',
  uidBase: 50_000,
  subnet: '10.201.16.0/20',
  resolverPort: 10_053,
  domain: 'skerry.localhost',
  listen: '127.0.0.1:7070',
};

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'supervisor-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('readIdentity() reads what writeIdentity() wrote, which only root can read', async () => {
  await inDirectory(async (directory) => {
    assert.equal(await readIdentity(directory), undefined);
    await writeIdentity(directory, identity);
    assert.deepEqual(await readIdentity(directory), identity);
    assert.equal((await stat(join(directory, 'instance.json'))).mode & 0o777, 0o600);
  });
});

test('readIdentity() refuses a newer version and a broken file, and never makes a new instance of it', async () => {
  await inDirectory(async (directory) => {
    const file = join(directory, 'instance.json');
    for (const [text, reason] of [
      ['', 'instance_file_broken'],
      ['{"version":1}', 'instance_file_broken'],
      [JSON.stringify({ ...identity, id: '../x' }), 'instance_file_broken'],
      [JSON.stringify({ ...identity, version: 2 }), 'newer_data'],
    ] as const) {
      await writeFile(file, text);
      await assert.rejects(readIdentity(directory), { reason }, text);
    }
  });
});

test('ensureSecrets() makes them once, and refuses a file that lost its content', async () => {
  await inDirectory(async (directory) => {
    const first = await ensureSecrets(directory);
    assert.match(first.apiKey, /^skerry_[0-9a-f]{40}$/);
    assert.match(first.masterKey, /^[0-9a-f]{64}$/);
    assert.deepEqual(await ensureSecrets(directory), first);
    for (const name of ['api.key', 'master.key']) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600);
    assert.equal((await readFile(join(directory, 'api.key'), 'utf8')).trim(), first.apiKey);
    await writeFile(join(directory, 'master.key'), '');
    await assert.rejects(ensureSecrets(directory), { reason: 'secret_file_broken' });
  });
});

test('parseNameServers() takes addresses only, and this machine when there is none', () => {
  assert.deepEqual(parseNameServers('# x\nnameserver 10.0.0.1\n nameserver ::1 # c\nnameserver name\nsearch a\n'), [
    { address: '10.0.0.1', port: 53 },
    { address: '::1', port: 53 },
  ]);
  assert.deepEqual(parseNameServers('search a\n'), [{ address: '127.0.0.1', port: 53 }]);
});
