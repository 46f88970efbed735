import {
  bodyParser,
  type HostSnapshotList,
  hostPaths,
  type JsonHandler,
  PutDiskOwnerBody,
  PutSnapshotBody,
} from '@skerry/protocol';
import type { Host } from '../host.ts';
import { pathId } from './path-id.ts';

const parseSnapshot = bodyParser(PutSnapshotBody);
const parseOwner = bodyParser(PutDiskOwnerBody);

export function snapshotRoutes(host: Host): Record<string, JsonHandler> {
  return {
    [hostPaths.putSnapshot]: async (request) =>
      host.snapshotMaker.make({ ...parseSnapshot(request.body), snapshotId: pathId(request, 'snapshot') }),
    [hostPaths.getSnapshot]: async (request) => host.snapshots.report(pathId(request, 'snapshot')),
    [hostPaths.listSnapshots]: async (): Promise<HostSnapshotList> => ({ items: await host.snapshots.reports() }),
    [hostPaths.putSnapshotOwner]: async (request) =>
      host.snapshots.setOwner(pathId(request, 'snapshot'), parseOwner(request.body).owner),
    [hostPaths.deleteSnapshot]: async (request) => host.snapshotMaker.delete(pathId(request, 'snapshot')),
    [hostPaths.verifySnapshot]: async (request) => host.snapshots.verify(pathId(request, 'snapshot'), request.signal),
  };
}
