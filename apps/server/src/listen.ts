import { chmod, rm } from 'node:fs/promises';
import type { Server } from 'node:http';

/** Removes the socket file that an earlier life left. */
export async function prepareSocket(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Lets everybody connect who can reach the file: its directory is the guard. */
export async function openSocket(path: string): Promise<void> {
  await chmod(path, 0o666);
}

/** Listens on a Unix socket. */
export async function listen(server: Server, path: string): Promise<void> {
  await prepareSocket(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
  await openSocket(path);
}

/** Stops listening and cuts what is still connected. */
export async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
