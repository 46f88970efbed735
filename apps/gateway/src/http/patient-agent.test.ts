import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { startBench } from '../testing/bench.ts';
import { answerOf, textOf, to } from '../testing/client.ts';

/** Answers 413 to the first bytes of a connection and closes it with the rest unread, as Python's servers do; in a thread of its own, for real races. */
const hasty = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer((socket) => {
  socket.on('error', () => undefined);
  socket.once('data', () => {
    socket.pause();
    const answer = 'too large'.repeat(100);
    const head = process.argv[3] === 'length' ? 'Content-Length: ' + answer.length + '\\r\\n' : '';
    socket.write('HTTP/1.1 413 Too Large\\r\\n' + head + 'Connection: close\\r\\n\\r\\n' + answer, () => socket.destroy());
  });
});
server.listen(0, process.argv[2], () => parentPort.postMessage(server.address().port));`;

for (const framing of ['length', 'end'])
  test(`an answer that comes before the body was read, from a server that closes, reaches the client (framed by its ${framing})`, async () => {
    await using bench = await startBench();
    const address = '127.77.4.9';
    const worker = new Worker(hasty, { eval: true, argv: [address, framing] });
    try {
      const [port] = (await once(worker, 'message')) as [number];
      const route = bench.server.addRoute(address, { portAccess: 'public' });
      for (let round = 0; round < 40; round++) {
        const outgoing = to(bench, route, port, '/', { method: 'POST', headers: { 'content-length': '8000000' } });
        const answered = answerOf(outgoing);
        for (let part = 0; part < 40; part++) outgoing.write(Buffer.alloc(100_000));
        await sleep(round % 4);
        for (let part = 0; part < 40; part++) outgoing.write(Buffer.alloc(100_000));
        const answer = await answered;
        assert.deepEqual([answer.statusCode, await textOf(answer)], [413, 'too large'.repeat(100)], `round ${round}`);
        outgoing.destroy();
      }
    } finally {
      await worker.terminate();
    }
  });
