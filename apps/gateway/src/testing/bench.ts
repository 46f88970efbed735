import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@skerry/kit';
import type { GatewayConfig } from '@skerry/protocol';
import { type Gateway, startGateway } from '../gateway.ts';
import { FakeServer } from './fake-server.ts';

/** A gateway between a fake server and what a test listens with on loopback addresses. */
export interface Bench extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly server: FakeServer;
  readonly base: string;
  readonly log: string[];
  /** Listens as something inside a sandbox would. Gives the port. */
  listen(address: string, listener: RequestListener | Server, port?: number): Promise<number>;
}

export async function startBench(): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'gateway-'));
  const server = new FakeServer(directory);
  await server.start();
  const config: GatewayConfig = {
    version: 1,
    instance: 'test00',
    listenHost: '127.0.0.1',
    listenPort: 0,
    domain: 'skerry.localhost',
    apiSocket: server.apiSocket,
    gatewaySocket: server.gatewaySocket,
    logLevel: 'info',
  };
  const log: string[] = [];
  const gateway = await startGateway(
    config,
    createLog('gateway', 'debug', (line) => void log.push(line)),
  );
  await until(() => server.feedCount === 1);
  const listeners: Server[] = [];
  return {
    gateway,
    server,
    log,
    base: `http://127.0.0.1:${gateway.port}`,
    async listen(address, listener, port = 0) {
      const made = typeof listener === 'function' ? createServer(listener) : listener;
      made.listen(port, address);
      await once(made, 'listening');
      listeners.push(made);
      return (made.address() as AddressInfo).port;
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      for (const made of listeners) {
        made.close();
        made.closeAllConnections();
      }
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Waits until something holds; throws after 5 s. */
export async function until(holds: () => boolean): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += 5) {
    if (waitedMs > 5000) throw new Error('It did not come true within 5 s');
    await sleep(5);
  }
}
