import { createServer, type Socket } from 'node:net';
import type { ClientLimits } from './client-limits.ts';
import type { Resolver } from './resolver.ts';

const idleMs = 10_000;
/** Longest frame that is waited for; the resolver refuses longer questions anyway. */
const mostFrameBytes = 4096;
/** Bytes of answers that a client may leave unread. */
const mostUnreadBytes = 256 * 1024;

function framed(message: Buffer): Buffer {
  const frame = Buffer.alloc(2 + message.length);
  frame.writeUInt16BE(message.length, 0);
  message.copy(frame, 2);
  return frame;
}

/** Reads frames of one connection and answers each; what breaks the protocol or reads too slowly is cut off. */
function serve(socket: Socket, client: string, resolver: Resolver): void {
  let received: Buffer = Buffer.alloc(0);
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2) {
      const length = received.readUInt16BE(0);
      if (length === 0 || length > mostFrameBytes) {
        socket.destroy();
        return;
      }
      if (received.length < 2 + length) return;
      const message = Buffer.from(received.subarray(2, 2 + length));
      received = received.subarray(2 + length);
      void resolver.answer(message, client, 'tcp').then((answer) => {
        if (socket.destroyed) return;
        if (answer === undefined || socket.writableLength > mostUnreadBytes) socket.destroy();
        else if (socket.writable) socket.write(framed(answer));
      });
    }
  });
}

/** Answers DNS over TCP at an address until it is disposed. */
export async function openTcpFront(
  resolver: Resolver,
  limits: ClientLimits,
  address: string,
  port: number,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    const client = socket.remoteAddress;
    const place = client === undefined ? undefined : limits.connect(client);
    if (client === undefined || place === undefined) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      place[Symbol.dispose]();
    });
    serve(socket, client, resolver);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  server.on('error', () => undefined);
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
