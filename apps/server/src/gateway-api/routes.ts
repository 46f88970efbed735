import type { SandboxId } from '@skerry/model';
import type { Route, RouteEvent } from '@skerry/protocol';
import { type SandboxRecord, statusOf } from '@skerry/store';
import type { Core } from '../core.ts';
import type { DrainOrder } from '../rest/drains.ts';

/** Where the gateway finds a sandbox; `undefined` when nothing of it can be reached. */
export async function routeOf(core: Core, record: SandboxRecord): Promise<Route | undefined> {
  const { bootId } = record;
  // What is being stopped stays reachable until it has ended; what is being deleted does not.
  if (
    bootId === null ||
    record.desired === 'deleted' ||
    (record.observed !== 'running' && record.observed !== 'saving' && record.observed !== 'halting')
  )
    return undefined;
  const boot = await core.store.boots.get(bootId);
  if (boot === undefined || boot.address === null) return undefined;
  return {
    sandboxId: record.id,
    projectId: record.projectId,
    name: record.name,
    bootId,
    status: statusOf(record).status,
    address: boot.address,
    generation: record.generation,
    accessToken: core.secrets.accessToken(record.id, record.generation),
    portAccess: 'private',
    resting: record.frozen || record.observed === 'saving' || record.desired === 'paused',
  };
}

/** Every route, then `synced`, then changes and revocations, until the signal. */
export async function* streamRoutes(core: Core, signal: AbortSignal): AsyncGenerator<RouteEvent> {
  const changed = new Map<SandboxId, SandboxRecord>();
  const revoked: string[] = [];
  const drains: DrainOrder[] = [];
  const told = new Map<SandboxId, string>();
  let wake = (): void => undefined;
  const ends = [
    core.changes.subscribeAll((record) => {
      changed.set(record.id, record);
      wake();
    }),
    core.keys.subscribe((keyHash) => {
      revoked.push(keyHash);
      wake();
    }),
    core.drains.connect((order) => {
      drains.push(order);
      wake();
    }),
  ];
  core.activities.gatewayInSight = true;
  const ended = AbortSignal.any([signal, core.ended]);
  const onEnd = (): void => wake();
  ended.addEventListener('abort', onEnd);
  try {
    for (const record of await core.store.sandboxes.listAllLive())
      if (record.bootId !== null) changed.set(record.id, record);
    yield* changes();
    yield { type: 'synced' };
    while (!ended.aborted) {
      for (let keyHash = revoked.shift(); keyHash !== undefined; keyHash = revoked.shift())
        yield { type: 'revoked', keyHash };
      yield* changes();
      for (let order = drains.shift(); order !== undefined; order = drains.shift()) yield { type: 'drain', ...order };
      if (changed.size > 0 || revoked.length > 0 || drains.length > 0) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (ended.aborted) resolve();
      });
    }
  } finally {
    ended.removeEventListener('abort', onEnd);
    for (const end of ends) end();
    if (!core.drains.connected) core.activities.loseGateway(Date.now());
  }

  async function* changes(): AsyncGenerator<RouteEvent> {
    for (const [id, record] of changed) {
      changed.delete(id);
      const route = await routeOf(core, record);
      const text = JSON.stringify(route);
      if (told.get(id) === text) continue;
      if (route !== undefined) {
        told.set(id, text);
        yield { type: 'route', route };
      } else if (told.delete(id)) {
        yield { type: 'gone', sandboxId: id };
      }
    }
  }
}
