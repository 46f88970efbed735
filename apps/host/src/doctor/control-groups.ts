import { access, readFile } from 'node:fs/promises';
import { type Check, type Finding, fail, pass } from './finding.ts';

const needed = ['cpu', 'cpuacct', 'memory', 'pids', 'freezer'] as const;
const neededOfV2 = ['cpu', 'memory', 'pids'] as const;

/** Controllers that `/proc/self/mounts` shows as mounted in version 1. */
export function controllersOfV1(mounts: string): Set<string> {
  const found = new Set<string>();
  for (const line of mounts.split('\n')) {
    const [, , type, options] = line.split(' ');
    if (type === 'cgroup') for (const option of (options ?? '').split(',')) found.add(option);
  }
  return found;
}

async function look(): Promise<Finding> {
  const need = 'control groups';
  const pure = await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8').catch(() => undefined);
  if (pure !== undefined) {
    const has = new Set(pure.trim().split(' '));
    const missing = neededOfV2.filter((controller) => !has.has(controller));
    return missing.length === 0
      ? pass(need, 'version 2')
      : fail(
          need,
          `version 2 without ${missing.join(', ')}`,
          'Enable these controllers in the parent group (cgroup.subtree_control).',
        );
  }
  const has = controllersOfV1(await readFile('/proc/self/mounts', 'utf8'));
  const missing = needed.filter((controller) => !has.has(controller));
  const hybrid = await access('/sys/fs/cgroup/unified').then(
    () => ', hybrid',
    () => '',
  );
  return missing.length === 0
    ? pass(need, `version 1${hybrid}`)
    : fail(need, `version 1${hybrid} without ${missing.join(', ')}`, 'Mount these controllers below /sys/fs/cgroup.');
}

/** Limits need control groups: version 1, version 2, or both beside each other. */
export const controlGroupChecks: Check = async () => [await look()];
