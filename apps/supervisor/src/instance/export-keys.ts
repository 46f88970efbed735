import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { readFileIfExists, writeFileAtomic } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { ExportKeysConfig } from '@skerry/protocol';
import { ensureDirectory } from './identity.ts';

/**
 * Makes the key that signs this instance's exports, and the folder of keys that it trusts, as far as they are missing. The own public key lies
 * in that folder, to be copied to the `trusted-keys` of another instance. Throws `data_loss` when the key file is no such key.
 */
export async function ensureExportKeys(dataDir: string): Promise<ExportKeysConfig> {
  const ownKeyFile = join(dataDir, 'export.key');
  const trustedDir = join(dataDir, 'trusted-keys');
  await ensureDirectory(trustedDir, 0o700, 0);
  let pem = await readFileIfExists(ownKeyFile);
  if (pem === undefined) {
    pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await writeFileAtomic(ownKeyFile, pem, 0o600);
  }
  const ownFile = join(trustedDir, 'own.pem');
  const own = publicPemOf(pem, ownKeyFile);
  if ((await readFileIfExists(ownFile)) !== own) await writeFileAtomic(ownFile, own, 0o600);
  return { ownKeyFile, trustedDir };
}

function publicPemOf(pem: string, file: string): string {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`It is a key of ${key.asymmetricKeyType ?? 'no kind'}`);
    return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  } catch (cause) {
    throw new Problem('data_loss', `"${file}" is not the Ed25519 key that Skerry wrote there`, {
      reason: 'export_key_broken',
      hint: 'Restore it from a backup, or remove it: a new one is made, and exports signed by the old one are no longer trusted.',
      cause,
    });
  }
}
