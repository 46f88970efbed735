import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { encodeFrame } from '@skerry/protocol/client';
import { Skerry } from '../skerry.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void | Promise<void>;

/** A server that answers as it is told, for one client. */
export async function withServer(
  handler: Handler,
  work: (skerry: Skerry, seen: IncomingMessage[]) => Promise<void>,
): Promise<void> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void handler(request, response, Buffer.concat(chunks)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    await work(new Skerry({ url: `http://127.0.0.1:${port}/`, apiKey: 'skerry_k' }), seen);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

export const view = { id: 'sb1', name: 'one', status: 'running', accessToken: 'token', labels: {}, env: {} };
export const json = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

/** Answers `GET /v1/sandboxes/one`, and everything else by a guest of the test. */
export function guest(handler: Handler): Handler {
  return (request, response, body) => {
    if (request.url?.startsWith('/v1/') === true) json(response, 200, view);
    else return handler(request, response, body);
  };
}
export const frame = (event: unknown): Uint8Array => encodeFrame({ event });
export const base64 = (text: string): string => Buffer.from(text).toString('base64');
