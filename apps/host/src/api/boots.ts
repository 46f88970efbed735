import {
  bodyParser,
  type HostActivity,
  type HostBootList,
  hostPaths,
  type JsonHandler,
  PutBootBody,
  StopBootBody,
} from '@skerry/protocol';
import type { Host } from '../host.ts';
import { pathId } from './path-id.ts';

const parseBoot = bodyParser(PutBootBody);
const parseStop = bodyParser(StopBootBody);

export function bootRoutes(host: Host): Record<string, JsonHandler> {
  return {
    [hostPaths.putBoot]: async (request) =>
      host.boots.put({ ...parseBoot(request.body), bootId: pathId(request, 'boot') }),
    [hostPaths.stopBoot]: async (request) => host.boots.stop(pathId(request, 'boot'), parseStop(request.body).graceMs),
    [hostPaths.deleteBoot]: async (request) => host.boots.delete(pathId(request, 'boot')),
    [hostPaths.getBoot]: async (request) => host.boots.get(pathId(request, 'boot')),
    [hostPaths.listBoots]: async (): Promise<HostBootList> => ({ items: host.boots.list() }),
    [hostPaths.freezeBoot]: async (request) => host.boots.freeze(pathId(request, 'boot')),
    [hostPaths.thawBoot]: async (request) => host.boots.thaw(pathId(request, 'boot')),
    [hostPaths.sampleActivity]: async (): Promise<HostActivity> => ({ items: await host.boots.activity() }),
    [hostPaths.watch]: async (request) => host.boots.watch(request.signal),
  };
}
