import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The part of a lockfile that says what is installed. */
interface Lockfile {
  readonly packages: Readonly<
    Record<string, { version?: string; integrity?: string; optional?: boolean; devOptional?: boolean }>
  >;
}

/**
 * True when npm finished installing exactly what `wanted` (package-lock.json) says, judged by `installed` (npm's hidden lockfile, which it
 * writes last). Optional packages may be absent: most are for other
 * platforms.
 */
export function isInstalled(wanted: Lockfile, installed: Lockfile): boolean {
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (!path.includes('node_modules/')) continue;
    const there = installed.packages[path];
    const mayBeAbsent = entry.optional === true || entry.devOptional === true;
    if (there === undefined ? !mayBeAbsent : there.version !== entry.version || there.integrity !== entry.integrity) {
      return false;
    }
  }
  return Object.keys(installed.packages).every((path) => path in wanted.packages);
}

function readLockfile(path: string): Lockfile {
  return JSON.parse(readFileSync(path, 'utf8')) as Lockfile;
}

if (import.meta.main) {
  const root = process.argv[2] ?? '.';
  try {
    const wanted = readLockfile(join(root, 'package-lock.json'));
    const installed = readLockfile(join(root, 'node_modules', '.package-lock.json'));
    process.exitCode = isInstalled(wanted, installed) ? 0 : 1;
  } catch {
    process.exitCode = 1;
  }
}
