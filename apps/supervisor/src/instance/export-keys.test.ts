import assert from 'node:assert/strict';
import { createPublicKey, sign, verify } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureExportKeys } from './export-keys.ts';

test('ensureExportKeys() makes a key once, trusts it, and puts the public one back', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'export-keys-'));
  try {
    const { ownKeyFile, trustedDir } = await ensureExportKeys(dataDir);
    const key = await readFile(ownKeyFile, 'utf8');
    assert.equal((await stat(ownKeyFile)).mode & 0o777, 0o600);
    const own = join(trustedDir, 'own.pem');
    const data = Buffer.from('data');
    assert.ok(verify(null, data, createPublicKey(await readFile(own, 'utf8')), sign(null, data, key)));
    await rm(own);
    await ensureExportKeys(dataDir);
    assert.equal(await readFile(ownKeyFile, 'utf8'), key);
    assert.ok((await readFile(own, 'utf8')).includes('PUBLIC KEY'));
    await writeFile(ownKeyFile, 'nonsense');
    await assert.rejects(ensureExportKeys(dataDir), { reason: 'export_key_broken' });
  } finally {
    await rm(dataDir, { recursive: true });
  }
});
