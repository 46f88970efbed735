/** The simulated backend behind the real host API on a Unix socket, so that it outlives a server that is killed. */
import type { Server } from 'node:http';
import type { BootRequest, DiskSpec } from '@skerry/backend';
import type { SimulatedBackend } from '@skerry/backend/simulated';
import type { BootId, DiskId } from '@skerry/model';
import {
  bodyParser,
  CollectGarbageBody,
  createJsonServer,
  hostPaths,
  type JsonHandler,
  PutBootBody,
  PutDiskBody,
  PutDiskOwnerBody,
  StopBootBody,
} from '@skerry/protocol';

/** Makes the host API around a simulated backend, not yet listening. */
export function simulatedHost(backend: SimulatedBackend): Server {
  const parseDisk = bodyParser(PutDiskBody);
  const parseOwner = bodyParser(PutDiskOwnerBody);
  const parseBoot = bodyParser(PutBootBody);
  const parseStop = bodyParser(StopBootBody);
  const parseCollect = bodyParser(CollectGarbageBody);
  const disk = (params: Readonly<Record<string, string>>) => params['diskId'] as DiskId;
  const boot = (params: Readonly<Record<string, string>>) => params['bootId'] as BootId;
  const handlers: Record<keyof typeof hostPaths, JsonHandler> = {
    describe: () => backend.describe(),
    putDisk: ({ params, body }) => backend.createDisk({ diskId: disk(params), ...parseDisk(body) } as DiskSpec),
    putDiskOwner: ({ params, body }) => backend.setDiskOwner(disk(params), parseOwner(body).owner as DiskSpec['owner']),
    deleteDisk: ({ params }) => backend.deleteDisk(disk(params)),
    listDisks: async () => ({ items: await backend.listDisks() }),
    diskLog: async ({ params, query }) => ({
      text: await backend.readLog(disk(params), Number(query.get('maxBytes'))),
    }),
    putBoot: ({ params, body }) => backend.startBoot({ bootId: boot(params), ...parseBoot(body) } as BootRequest),
    stopBoot: ({ params, body }) => backend.stopBoot(boot(params), parseStop(body).graceMs),
    deleteBoot: ({ params }) => backend.deleteBoot(boot(params)),
    getBoot: ({ params }) => backend.getBoot(boot(params)),
    listBoots: async () => ({ items: await backend.listBoots() }),
    watch: async ({ signal }) => backend.watch(signal),
    listGarbage: async () => ({ items: await backend.listGarbage() }),
    collectGarbage: async ({ body }) => ({ items: await backend.collectGarbage(parseCollect(body).minAgeMs) }),
  };
  const routes = Object.fromEntries(
    Object.entries(handlers).map(([call, handler]) => [hostPaths[call as keyof typeof hostPaths], handler]),
  );
  return createJsonServer(routes, () => undefined);
}
