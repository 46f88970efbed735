import { X509Certificate } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { MachineSettings } from './artifacts.ts';
import { contentKey, exists, makeScratch, publish } from './cache.ts';
import type { Stage } from './stage.ts';

const CA_FOLDER = '/usr/local/share/ca-certificates';

/** The certificate authorities that were added to this machine, and where its package clients look, as a stage. */
export async function machineStage(cache: string, goProxy: string): Promise<Stage<MachineSettings>> {
  const bundle = await readCaBundle(CA_FOLDER);
  const env = await packageClientEnv(goProxy, process.env, homedir());
  const target = bundle === null ? null : join(cache, 'machine', contentKey({ bundle }));
  const settings: MachineSettings = { caBundle: target === null ? null : join(target, 'ca-bundle.pem'), env };
  return {
    name: 'machine settings',
    does: 'collecting the extra certificate authorities of this machine, which sandboxes need to reach package registries',
    async find() {
      return settings.caBundle === null || (await exists(settings.caBundle)) ? settings : null;
    },
    async build() {
      if (bundle === null || target === null) return settings;
      const scratch = await makeScratch(cache, 'machine');
      await writeFile(join(scratch, 'ca-bundle.pem'), bundle, { mode: 0o644 });
      await publish(scratch, target);
      return settings;
    },
  };
}

/** The valid certificates of a folder's `.crt` files as one PEM text, sorted by file, without duplicates; null when there is none. */
export async function readCaBundle(folder: string): Promise<string | null> {
  const found = new Set<string>();
  for (const name of (await readdir(folder, { recursive: true }).catch(() => [])).sort()) {
    if (!name.endsWith('.crt')) continue;
    for (const pem of validCertificates(await readFile(join(folder, name), 'utf8').catch(() => ''))) found.add(pem);
  }
  return found.size === 0 ? null : [...found].join('');
}

/** The certificates of a PEM text, each written anew; keys, comments and what does not parse are left out. */
export function validCertificates(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const valid: string[] = [];
  for (const block of blocks) {
    try {
      valid.push(new X509Certificate(block).toString());
    } catch {
      // A damaged certificate would make clients inside refuse the whole bundle.
    }
  }
  return valid;
}

/** Settings that somebody made on this machine (`goProxy` is empty when nobody did). Addresses that carry credentials are left out: code inside a sandbox could read them. */
export async function packageClientEnv(
  goProxy: string,
  env: NodeJS.ProcessEnv,
  home: string,
): Promise<Record<string, string>> {
  const first = async (files: readonly string[], key: string): Promise<string | undefined> => {
    for (const file of files) {
      const value = iniValue(await readFile(file, 'utf8').catch(() => ''), key);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  const npmFiles = [
    env['npm_config_userconfig'] ?? join(home, '.npmrc'),
    env['npm_config_globalconfig'] ?? '/usr/etc/npmrc',
    '/usr/local/etc/npmrc',
    '/etc/npmrc',
  ];
  const pipFiles = [
    env['PIP_CONFIG_FILE'] ?? '',
    join(home, '.config/pip/pip.conf'),
    join(home, '.pip/pip.conf'),
    '/etc/pip.conf',
  ];
  const settings: Record<string, string> = {};
  const npm = env['npm_config_registry'] ?? (await first(npmFiles, 'registry'));
  const pip = env['PIP_INDEX_URL'] ?? (await first(pipFiles, 'index-url'));
  if (npm !== undefined && isShareable(npm)) settings['npm_config_registry'] = npm;
  if (pip !== undefined && isShareable(pip)) settings['PIP_INDEX_URL'] = pip;
  const proxies = goProxy.split(/[,|]/);
  if (goProxy !== '' && proxies.every((proxy) => proxy === 'direct' || proxy === 'off' || isShareable(proxy))) {
    settings['GOPROXY'] = goProxy;
  }
  return settings;
}

function isShareable(address: string): boolean {
  const url = URL.parse(address);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
}

/** The last value of a top-level or sectioned `key = value` line; quotes are dropped. */
export function iniValue(text: string, key: string): string | undefined {
  let value: string | undefined;
  for (const line of text.split('\n')) {
    const match = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    if (match?.[1] === key) value = match[2]?.replace(/^(["'])(.*)\1$/, '$2');
  }
  return value === '' ? undefined : value;
}
