/** The daemon's Unix socket: who may reach it is decided by the directory that it lies in. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { errorFields, type Log } from '@skerry/kit';
import { Problem, problemClasses } from '@skerry/model';
import { createJsonServer } from '@skerry/protocol';
import type { Host } from '../host.ts';
import { bootRoutes } from './boots.ts';
import { diskRoutes } from './disks.ts';
import { exportRoutes } from './exports.ts';
import { garbageRoutes } from './garbage.ts';
import { hostRoutes } from './host.ts';
import { snapshotRoutes } from './snapshots.ts';

/** Serves the host's API. Disposing it ends every connection. */
export async function serveHost(host: Host, socketPath: string, log: Log): Promise<AsyncDisposable> {
  const routes = {
    ...hostRoutes(host),
    ...diskRoutes(host),
    ...snapshotRoutes(host),
    ...exportRoutes(host),
    ...bootRoutes(host),
    ...garbageRoutes(host),
  };
  const server = createJsonServer(routes, (problem, request) => {
    const fields = { method: request.method, url: request.url, code: problem.code, reason: problem.reason };
    if (problemClasses[problem.code].status === 500) log.error(problem.message, { ...fields, ...errorFields(problem) });
    else log.info(problem.message, fields);
  });
  // A boot may take as long as it takes, and watchers stay.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o710 });
  await listen(server, socketPath);
  await chmod(socketPath, 0o666);
  return {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** Throws `conflict` when something answers on this socket. */
export async function refuseLiveDaemon(socketPath: string): Promise<void> {
  const live = await new Promise<boolean>((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (live)
    throw new Problem('conflict', `A host daemon of this instance runs already and answers at "${socketPath}"`, {
      reason: 'host_daemon_runs',
      hint: 'End that one first.',
    });
}

async function listen(server: Server, socketPath: string): Promise<void> {
  await rm(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
}
