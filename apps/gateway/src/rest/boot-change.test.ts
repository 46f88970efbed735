import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@skerry/model';
import { guestPort } from '@skerry/protocol';
import { startBench, until } from '../testing/bench.ts';
import { answerOf, ask, readStream, startStream, textOf, to } from '../testing/client.ts';
import { listenDeaf } from '../testing/deaf-listener.ts';
import { FakeGuest, keepalive, output } from '../testing/fake-guest.ts';

const address = '127.77.6.9';
const other = '127.77.6.10';

test('a new boot is found by what waits, with its body, and a connection that was never made is made again', async () => {
  await using bench = await startBench();
  await using deaf = await listenDeaf(address);
  const bodies: string[] = [];
  const { port } = deaf;
  await bench.listen(
    other,
    (incoming, response) =>
      void textOf(incoming).then((body) => {
        bodies.push(body);
        response.end('new');
      }),
    port,
  );
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const outgoing = to(bench, route, port, '/', { method: 'POST' });
  const answered = answerOf(outgoing);
  outgoing.write('first ');
  await sleep(100);
  bench.server.setRoute(route, { bootId: newId('boot'), address: other });
  outgoing.end('second');
  assert.equal(await textOf(await answered), 'new');
  assert.deepEqual(bodies, ['first second']);
});

test('a boot that goes during an upload ends it with an answer, and what follows reaches the new boot', async () => {
  await using bench = await startBench();
  let received = 0;
  const port = await bench.listen(
    address,
    (incoming) => void incoming.on('data', (chunk: Buffer) => void (received += chunk.length)),
  );
  await bench.listen(other, (_incoming, response) => response.end('new'), port);
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const outgoing = to(bench, route, port, '/', { method: 'POST', headers: { 'content-length': '2000000' } });
  const answered = answerOf(outgoing);
  outgoing.write(Buffer.alloc(1_000_000));
  await until(() => received > 0);
  bench.server.setRoute(route, { bootId: newId('boot'), address: other });
  const refused = await answered;
  assert.equal(refused.statusCode, 502);
  refused.resume();
  assert.deepEqual(await ask(bench, route, port), [200, 'new']);
});

test('what a boot had sent before it went is passed on to a slow reader', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  const incoming = await startStream(bench, route);
  incoming.pause();
  await until(() => guest.streams.length === 1);
  for (let index = 0; index < 40; index++) guest.streams[0]?.send(output('y'.repeat(100_000)));
  await sleep(200);
  bench.server.removeRoute(route);
  await sleep(200);
  const { messages, end } = await readStream(incoming);
  assert.equal(messages.length, 41);
  assert.equal(end?.error?.code, 'unavailable');
});

test('what a guest had sent before its connection broke is passed on to a slow reader', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  const incoming = await startStream(bench, route);
  incoming.pause();
  await until(() => guest.streams.length === 1);
  const response = guest.streams[0]?.response;
  for (let index = 0; index < 12; index++) guest.streams[0]?.send(output('z'.repeat(100_000)));
  await until(() => response?.socket?.writableLength === 0);
  response?.socket?.destroy();
  await sleep(100);
  const { messages, end } = await readStream(incoming);
  assert.equal(messages.length, 13);
  assert.equal(end?.error?.code, 'unavailable');
});

test('a stream whose guest vanishes ends with "unavailable" after the last whole frame', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  const incoming = await startStream(bench, route);
  await until(() => guest.streams.length === 1);
  guest.streams[0]?.send(output('whole'));
  guest.streams[0]?.response.write(Buffer.from([0, 0, 0, 1, 0, 0x7b]));
  await sleep(50);
  guest.streams[0]?.vanish();
  const { messages, end } = await readStream(incoming);
  assert.deepEqual(messages.slice(1), [output('whole')]);
  assert.deepEqual(end, { error: { code: 'unavailable', message: 'the sandbox went away during the call' } });
});

test('keepalives pass a stream through unchanged', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  const incoming = await startStream(bench, route);
  await until(() => guest.streams.length === 1);
  guest.streams[0]?.send(keepalive);
  guest.streams[0]?.send({}, 2);
  guest.streams[0]?.response.end();
  const { messages, end } = await readStream(incoming);
  assert.deepEqual([messages.length, messages[1], end], [2, keepalive, {}]);
});
