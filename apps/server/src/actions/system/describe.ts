import { readFileSync } from 'node:fs';
import type { System } from '@skerry/protocol';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** What runs here. */
export async function describeSystem(core: Core, caller: Caller): Promise<System> {
  const description = await core.facts.get().catch(() => undefined);
  return {
    version,
    instance: core.instance,
    backend: {
      state: core.boots.connected && description !== undefined ? 'ready' : 'unavailable',
      engines: (description?.engines ?? []).map(
        ({ name, version: engineVersion, isolation, freeze, memorySnapshot }) => ({
          name,
          version: engineVersion,
          isolation,
          freeze,
          memorySnapshot,
        }),
      ),
      cpus: description?.cpus ?? 0,
      memoryMiB: description?.memoryMiB ?? 0,
      diskFreeBytes: Math.round(description?.diskFreeBytes ?? 0),
    },
    sandboxes: { ...(await core.store.sandboxes.countByStatus(caller.projectId)) },
  };
}
