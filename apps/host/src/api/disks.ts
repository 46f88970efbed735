import { Problem } from '@skerry/model';
import {
  bodyParser,
  type HostDiskList,
  type HostDiskLog,
  hostPaths,
  type JsonHandler,
  PutDiskBody,
  PutDiskOwnerBody,
} from '@skerry/protocol';
import type { Host } from '../host.ts';
import { pathId } from './path-id.ts';

const mostLogBytes = 4 * 1024 * 1024;
const parseDisk = bodyParser(PutDiskBody);
const parseOwner = bodyParser(PutDiskOwnerBody);

export function diskRoutes(host: Host): Record<string, JsonHandler> {
  return {
    [hostPaths.putDisk]: async (request) =>
      host.disks.create({ ...parseDisk(request.body), diskId: pathId(request, 'disk') }),
    [hostPaths.putDiskOwner]: async (request) =>
      host.disks.setOwner(pathId(request, 'disk'), parseOwner(request.body).owner),
    [hostPaths.deleteDisk]: async (request) => host.disks.delete(pathId(request, 'disk')),
    [hostPaths.listDisks]: async (): Promise<HostDiskList> => ({ items: await host.disks.list() }),
    [hostPaths.diskLog]: async (request): Promise<HostDiskLog> => {
      const diskId = pathId(request, 'disk');
      host.disks.get(diskId);
      const maxBytes = Number(request.query.get('maxBytes') ?? 65536);
      if (!Number.isInteger(maxBytes) || maxBytes < 0)
        throw new Problem('invalid', '"maxBytes" is no whole number', { reason: 'invalid_query' });
      return { text: await host.logs.read(diskId, Math.min(maxBytes, mostLogBytes)) };
    },
  };
}
