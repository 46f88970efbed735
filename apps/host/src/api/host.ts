import { hostPaths, type JsonHandler } from '@skerry/protocol';
import { memoryAvailableMiB } from '../boots/memory-available.ts';
import type { Host } from '../host.ts';

/** What this host is and can do. */
export function hostRoutes(host: Host): Record<string, JsonHandler> {
  return {
    [hostPaths.describe]: async () => {
      const { capabilities, ...engine } = host.description;
      const { freeze, memorySnapshot } = capabilities;
      const available = await memoryAvailableMiB();
      return {
        hostId: host.hostId,
        engines: [{ ...engine, freeze, memorySnapshot }],
        images: host.images.list().map(({ name, key, sizeBytes, config }) => ({
          name,
          key,
          sizeBytes,
          user: config.user,
          workdir: config.workdir,
        })),
        cpus: host.cpus,
        memoryMiB: host.limits.memoryMiB,
        ...(available === undefined ? {} : { memoryAvailableMiB: available }),
        diskFreeBytes: await host.space.freeBytes(),
        guestDigest: host.guestDigest,
      };
    },
  };
}
