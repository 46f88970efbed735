import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One archive as apt knows it. */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** A keyring's path, or null when apt's trusted keyrings decide. */
  readonly signedBy: string | null;
}

/** Parses a deb822 `.sources` file: binary sources only, disabled ones left out. */
export function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const stanza of text.split(/\n[ \t]*\n/)) {
    const fields = deb822Fields(stanza);
    const words = (name: string): string[] => (fields.get(name) ?? '').split(/\s+/).filter((word) => word !== '');
    if (!words('types').includes('deb') || /^(no|false|0|off)$/i.test(fields.get('enabled') ?? 'yes')) continue;
    sources.push({
      uris: words('uris'),
      suites: words('suites'),
      components: words('components'),
      signedBy: fields.get('signed-by') ?? null,
    });
  }
  return sources;
}

function deb822Fields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name = '';
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) {
      name = match[1].toLowerCase();
      fields.set(name, match[2].trim());
    } else if (/^\s/.test(line) && name !== '') {
      fields.set(name, `${fields.get(name) ?? ''}\n${line.trim()}`);
    }
  }
  return fields;
}

/** Parses a one-line-style `.list` file. */
export function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match?.[2] === undefined || match[3] === undefined) continue;
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(match[1] ?? '')?.[1] ?? null;
    const components = (match[4] ?? '').split(/\s+/).filter((word) => word !== '');
    sources.push({ uris: [match[2]], suites: [match[3]], components, signedBy });
  }
  return sources;
}

const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Debian's own archives among a machine's sources, component `main` only. Others' archives stay out: they are signed by other keys,
 * use other suites, or carry credentials. Keyrings are named by the path that every Debian has.
 */
export function debianSources(sources: readonly AptSource[], codename: string): AptSource[] {
  const suitesOfDebian = new Set([codename, `${codename}-updates`, `${codename}-security`]);
  const kept: AptSource[] = [];
  for (const source of sources) {
    const signedByDebian = source.signedBy === null || /\/debian-archive-[^/]*$/.test(source.signedBy);
    const uris = source.uris.filter((uri) => /^https?:\/\/[^@]*$/.test(uri));
    const suites = source.suites.filter((suite) => suitesOfDebian.has(suite));
    if (!signedByDebian || !source.components.includes('main') || uris.length === 0 || suites.length === 0) continue;
    kept.push({ uris, suites, components: ['main'], signedBy: DEBIAN_KEYRING });
  }
  return kept;
}

export function renderDeb822(sources: readonly AptSource[]): string {
  const stanza = (source: AptSource): string =>
    [
      'Types: deb',
      `URIs: ${source.uris.join(' ')}`,
      `Suites: ${source.suites.join(' ')}`,
      `Components: ${source.components.join(' ')}`,
      ...(source.signedBy === null ? [] : [`Signed-By: ${source.signedBy}`]),
    ].join('\n');
  return `${sources.map(stanza).join('\n\n')}\n`;
}

/** All sources that are configured below `folder` (a machine's `/etc/apt`), in the order apt reads them. */
export async function readAptSources(folder: string): Promise<AptSource[]> {
  const text = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
  const parts = join(folder, 'sources.list.d');
  const sources = parseOneLine(await text(join(folder, 'sources.list')));
  for (const name of (await readdir(parts).catch(() => [])).sort()) {
    if (name.endsWith('.list')) sources.push(...parseOneLine(await text(join(parts, name))));
    if (name.endsWith('.sources')) sources.push(...parseDeb822(await text(join(parts, name))));
  }
  return sources;
}
