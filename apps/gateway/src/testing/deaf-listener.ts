import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

/** Something that listens and takes no connection: who connects waits, as for a boot that has just gone. */
export interface DeafListener extends AsyncDisposable {
  readonly port: number;
}

const program = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer();
server.listen({ host: process.argv[2], port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  // Blocks the thread, so that nothing is accepted.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

export async function listenDeaf(address: string): Promise<DeafListener> {
  const worker = new Worker(program, { eval: true, argv: [address] });
  const [port] = (await once(worker, 'message')) as [number];
  // The kernel itself takes as many as may queue.
  const queued: Socket[] = [];
  for (let full = false; !full; ) {
    const socket = connect(port, address);
    socket.on('error', () => undefined);
    queued.push(socket);
    full = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(false));
      setTimeout(() => resolve(true), 200);
    });
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of queued) socket.destroy();
      await worker.terminate();
    },
  };
}
