import { createSocket } from 'node:dgram';
import type { Resolver } from './resolver.ts';

/** Answers DNS over UDP at an address until it is disposed. */
export async function openUdpFront(
  resolver: Resolver,
  address: string,
  port: number,
): Promise<AsyncDisposable & { readonly port: number }> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
  let open = true;
  // An ICMP error of one client is not an error of the socket of all.
  socket.on('error', () => undefined);
  socket.on('message', (message, { address: client, port: clientPort }) => {
    void resolver.answer(message, client, 'udp').then((answer) => {
      if (answer !== undefined && open) socket.send(answer, clientPort, client, () => undefined);
    });
  });
  return {
    port: socket.address().port,
    async [Symbol.asyncDispose]() {
      open = false;
      await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
}
