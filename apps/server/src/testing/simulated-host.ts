/** The simulated backend behind the real host API on a Unix socket, so that it outlives a server that is killed. */
import type { Server } from 'node:http';
import type { BootRequest, DiskSpec, DiskState, SnapshotSpec } from '@skerry/backend';
import type { SimulatedBackend } from '@skerry/backend/simulated';
import type { BootId, DiskId, OwnerBlob, SandboxId, SnapshotId } from '@skerry/model';
import {
  bodyParser,
  ByteAnswer,
  CollectGarbageBody,
  createJsonServer,
  DiffBody,
  hostPaths,
  type JsonHandler,
  PutBootBody,
  PutDiskBody,
  PutDiskOwnerBody,
  PutSnapshotBody,
  StopBootBody,
} from '@skerry/protocol';

/** Makes the host API around a simulated backend, not yet listening. */
export function simulatedHost(backend: SimulatedBackend): Server {
  const parseDisk = bodyParser(PutDiskBody);
  const parseOwner = bodyParser(PutDiskOwnerBody);
  const parseBoot = bodyParser(PutBootBody);
  const parseStop = bodyParser(StopBootBody);
  const parseSnapshot = bodyParser(PutSnapshotBody);
  const parseDiff = bodyParser(DiffBody);
  const parseCollect = bodyParser(CollectGarbageBody);
  const disk = (params: Readonly<Record<string, string>>) => params['diskId'] as DiskId;
  const boot = (params: Readonly<Record<string, string>>) => params['bootId'] as BootId;
  const snapshot = (params: Readonly<Record<string, string>>) => params['snapshotId'] as SnapshotId;
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
    freezeBoot: ({ params }) => backend.freezeBoot(boot(params)),
    thawBoot: ({ params }) => backend.thawBoot(boot(params)),
    sampleActivity: async () => ({ items: await backend.sampleActivity() }),
    putSnapshot: ({ params, body }) =>
      backend.createSnapshot({ snapshotId: snapshot(params), ...parseSnapshot(body) } as SnapshotSpec),
    getSnapshot: ({ params }) => backend.getSnapshot(snapshot(params)),
    listSnapshots: async () => ({ items: await backend.listSnapshots() }),
    putSnapshotOwner: ({ params, body }) =>
      backend.setSnapshotOwner(snapshot(params), parseOwner(body).owner as OwnerBlob),
    deleteSnapshot: ({ params }) => backend.deleteSnapshot(snapshot(params)),
    verifySnapshot: ({ params }) => backend.verifySnapshot(snapshot(params)),
    diff: ({ body }) => {
      const { before, after, limit } = parseDiff(body);
      return backend.diff(before as DiskState, after as DiskState, limit);
    },
    exportSnapshot: async ({ params, query }) =>
      new ByteAnswer(backend.exportSnapshot(snapshot(params), query.get('memory') === 'true')),
    importSnapshot: ({ params, query, content }) =>
      backend.importSnapshot(
        snapshot(params),
        query.get('sandboxId') as SandboxId,
        JSON.parse(Buffer.from(query.get('owner') ?? '', 'base64url').toString()) as OwnerBlob,
        content,
      ),
    watch: async ({ signal }) => backend.watch(signal),
    listGarbage: async () => ({ items: await backend.listGarbage() }),
    collectGarbage: async ({ body }) => ({ items: await backend.collectGarbage(parseCollect(body).minAgeMs) }),
  };
  const routes = Object.fromEntries(
    Object.entries(handlers).map(([call, handler]) => [hostPaths[call as keyof typeof hostPaths], handler]),
  );
  return createJsonServer(routes, () => undefined);
}
