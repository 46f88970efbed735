/**
 * The key that an instance signs its exports with, and the keys whose memory images it takes: `keys/export.key` and `keys/trusted/*.pub` in the data
 * directory. Memory from a stranger could be made to break out of a sandbox; files cannot.
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
import type { ExportSignature } from './export-manifest.ts';

/** What is signed begins with this, so that a signature means nothing anywhere else. */
const context = Buffer.from('skerry export 1\n');

export class SigningKeys {
  readonly #directory: string;
  readonly #key: KeyObject;
  readonly #log: Log;

  private constructor(directory: string, key: KeyObject, log: Log) {
    this.#directory = directory;
    this.#key = key;
    this.#log = log;
  }

  /** Reads the key of the instance, and makes it when there is none. Its public half is written beside it, for people. */
  static async open(directory: string, log: Log): Promise<SigningKeys> {
    await mkdir(join(directory, 'trusted'), { recursive: true, mode: 0o755 });
    const file = join(directory, 'export.key');
    let pem = await readFileIfExists(file);
    if (pem === undefined) {
      pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      await writeFileAtomic(file, pem, 0o600);
    }
    let key: KeyObject;
    try {
      key = createPrivateKey(pem);
    } catch (cause) {
      throw new Problem('data_loss', `"${file}" does not hold what Skerry wrote there`, {
        reason: 'secret_file_broken',
        hint: 'Restore it from a backup, or delete it: then a new one is made, and exports of the old one are no longer trusted.',
        cause,
      });
    }
    const keys = new SigningKeys(directory, key, log);
    const shown = join(directory, 'export.pub');
    if ((await readFileIfExists(shown)) !== keys.publicPem) await writeFileAtomic(shown, keys.publicPem, 0o644);
    return keys;
  }

  /** PEM text for the `trusted` directory of another instance. */
  get publicPem(): string {
    return createPublicKey(this.#key).export({ type: 'spki', format: 'pem' }).toString();
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
    const directory = join(this.#directory, 'trusted');
    const found = new Set<string>();
    for (const name of await readdir(directory)) {
      if (!name.endsWith('.pub')) continue;
      try {
        found.add(derOf(createPublicKey(await readFile(join(directory, name)))));
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
