import { bodyParser, CollectGarbageBody, type HostGarbageList, hostPaths, type JsonHandler } from '@skerry/protocol';
import type { Host } from '../host.ts';

const parseCollect = bodyParser(CollectGarbageBody);

export function garbageRoutes(host: Host): Record<string, JsonHandler> {
  return {
    [hostPaths.listGarbage]: async (): Promise<HostGarbageList> => ({ items: await host.garbage.list() }),
    [hostPaths.collectGarbage]: async (request): Promise<HostGarbageList> => ({
      items: await host.garbage.collect(parseCollect(request.body).minAgeMs),
    }),
  };
}
