/**
 * The key that an instance signs its exports with, and the keys whose memory images it takes. Memory from a stranger could be made to break out of a
 * sandbox; files cannot.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFields, type Log, readFileIfExists, writeFileAtomic } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { ExportKeysConfig } from '@skerry/protocol';
import type { ExportSignature } from './export-manifest.ts';

/** What is signed begins with this, so that a signature means nothing anywhere else. */
const context = Buffer.from('skerry export 1\n');

export class SigningKeys {
  readonly #trustedDirectory: string;
  readonly #key: KeyObject;
  readonly #log: Log;

  private constructor(trustedDirectory: string, key: KeyObject, log: Log) {
    this.#trustedDirectory = trustedDirectory;
    this.#key = key;
    this.#log = log;
  }

  /** Reads the key of the instance; makes it, and the folder of trusted ones, where the supervisor has not. */
  static async open({ ownKeyFile, trustedDir }: ExportKeysConfig, log: Log): Promise<SigningKeys> {
    await mkdir(trustedDir, { recursive: true, mode: 0o700 });
    let pem = await readFileIfExists(ownKeyFile);
    if (pem === undefined) {
      pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      await writeFileAtomic(ownKeyFile, pem, 0o600);
    }
    let key: KeyObject;
    try {
      key = createPrivateKey(pem);
    } catch (cause) {
      throw new Problem('data_loss', `"${ownKeyFile}" does not hold what Skerry wrote there`, {
        reason: 'export_key_broken',
        hint: 'Restore it from a backup, or delete it: then a new one is made, and exports of the old one are no longer trusted.',
        cause,
      });
    }
    return new SigningKeys(trustedDir, key, log);
  }

  sign(data: Buffer): ExportSignature {
    return {
      algorithm: 'ed25519',
      publicKey: derOf(createPublicKey(this.#key)),
      signature: sign(null, Buffer.concat([context, data]), this.#key).toString('base64'),
    };
  }

  /** Why a signature does not make its file trusted here; `undefined` when it does. */
  async whyNotTrusted(data: Buffer, signature: ExportSignature): Promise<string | undefined> {
    let key: KeyObject;
    try {
      key = createPublicKey({ key: Buffer.from(signature.publicKey, 'base64'), format: 'der', type: 'spki' });
    } catch {
      return 'its signature names no valid key';
    }
    if (key.asymmetricKeyType !== 'ed25519') return 'its signature names no valid key';
    if (!verify(null, Buffer.concat([context, data]), key, Buffer.from(signature.signature, 'base64')))
      return 'its signature is not valid';
    const der = derOf(key);
    if (der === derOf(createPublicKey(this.#key)) || (await this.#trusted()).has(der)) return undefined;
    return `it was signed by a key that is not trusted here (${fingerprint(der)})`;
  }

  async #trusted(): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    for (const name of await readdir(this.#trustedDirectory)) {
      if (!name.endsWith('.pem')) continue;
      try {
        found.add(derOf(createPublicKey(await readFile(join(this.#trustedDirectory, name)))));
      } catch (error) {
        this.#log.warn('A trusted key cannot be read', { name, ...errorFields(error) });
      }
    }
    return found;
  }
}

function derOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('base64');
}

function fingerprint(der: string): string {
  return `SHA256:${createHash('sha256').update(Buffer.from(der, 'base64')).digest('base64').replace(/=+$/, '')}`;
}
