import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff, errorFields, type Log } from '@skerry/kit';
import { gatewayPaths, type JsonClient, type RouteEvent } from '@skerry/protocol';
import type { DrainEvent } from '../rest/drains.ts';
import type { RouteTable } from './route-table.ts';

/** Who learns what the feed tells besides routes. */
export interface FeedListener {
  /** The feed begins anew: what happened to keys meanwhile is unknown. */
  begun(): void;
  /** All routes are known; the server may have been started anew. */
  synced(): void;
  revoked(keyHash: string): void;
  drain(event: DrainEvent): void;
}

/** Follows the server's route events into the table until the signal aborts, with a new connection whenever one ends. */
export async function followRoutes(
  client: JsonClient,
  table: RouteTable,
  listener: FeedListener,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(50, 2000);
  const [method = '', path = ''] = gatewayPaths.routes.split(' ');
  let connected = false;
  while (!signal.aborted) {
    try {
      for await (const line of client.lines(method, path, { signal })) {
        const event = line as RouteEvent;
        if (!connected) {
          connected = true;
          table.beginList();
          listener.begun();
        }
        if (event.type === 'route') table.set(event.route);
        else if (event.type === 'gone') table.delete(event.sandboxId);
        else if (event.type === 'revoked') listener.revoked(event.keyHash);
        else if (event.type === 'drain') listener.drain(event);
        else {
          table.endList();
          listener.synced();
          backoff.reset();
          log.info('Routes are in step with the server');
        }
      }
    } catch (error) {
      if (connected) log.warn('Lost the server, going on with the routes known', errorFields(error));
    }
    connected = false;
    await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
  }
}
