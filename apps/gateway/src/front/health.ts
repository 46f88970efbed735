import { request as openRequest } from 'node:http';

const patienceMs = 2000;

/** Whether the server behind the socket answers HTTP at all. */
export async function serverAnswers(socketPath: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const outgoing = openRequest(
      { socketPath, path: '/health', agent: false, signal: AbortSignal.timeout(patienceMs) },
      (incoming) => {
        incoming.resume();
        resolve((incoming.statusCode ?? 500) < 500);
      },
    );
    outgoing.once('error', () => resolve(false));
    outgoing.end();
  });
}
