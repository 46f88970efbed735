import { chmod, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Log } from '@skerry/kit';
import { Problem } from '@skerry/model';

export interface ControlActions {
  status(): Promise<unknown>;
  /** Resolves when the instance is down but for this process. */
  down(hard: boolean): Promise<unknown>;
}

/** Serves `GET /v1/status` and `POST /v1/down {hard?}` for root on the control socket. */
export async function serveControl(socketPath: string, actions: ControlActions, log: Log): Promise<Server> {
  const { createJsonServer } = await import('@skerry/protocol');
  const server = createJsonServer(
    {
      'GET /v1/status': () => actions.status(),
      'POST /v1/down': async ({ body }) => {
        const hard = typeof body === 'object' && body !== null && (body as { hard?: unknown }).hard === true;
        return actions.down(hard);
      },
    },
    (problem) => log.warn('A control call failed', { code: problem.code, problem: problem.message }),
  );
  await rm(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new Problem('internal', `Cannot listen on "${socketPath}"`, { cause })));
    server.listen(socketPath, resolve);
  });
  await chmod(socketPath, 0o666);
  return server;
}
