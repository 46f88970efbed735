import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { guestPort, type Route, type SandboxTraffic } from '@skerry/protocol';
import { type Bench, startBench, until } from '../testing/bench.ts';
import { ask, readStream, startStream, to } from '../testing/client.ts';
import { FakeGuest, keepalive, output } from '../testing/fake-guest.ts';

const key = `skerry_${'a'.repeat(40)}`;
const address = '127.77.5.9';

function last(bench: Bench, route: Route): SandboxTraffic | undefined {
  return bench.server.traffic.findLast(({ sandboxId }) => sandboxId === route.sandboxId);
}

test('requests are counted and reported at most once a second, and silence is not', async () => {
  await using bench = await startBench();
  const port = await bench.listen(address, (_incoming, response) => response.end('ok'));
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const before = Date.now();
  for (let round = 0; round < 60; round++) {
    await ask(bench, route, port);
    await sleep(30);
  }
  await until(() => bench.server.traffic.reduce((sum, { requests }) => sum + requests, 0) === 60);
  await until(() => last(bench, route)?.openRequests === 0);
  const { openRequests, attached, lastRequestAtMs = 0, lastBytesAtMs = 0, bootId } = last(bench, route) ?? {};
  assert.deepEqual([openRequests, attached, bootId], [0, 0, route.bootId]);
  assert.ok(lastRequestAtMs >= before && lastRequestAtMs <= Date.now() && lastBytesAtMs >= before);
  const times = bench.server.reportedAtMs;
  for (const [index, at] of times.slice(1).entries()) assert.ok(at - (times[index] ?? 0) > 900, times.join());
  // The kept connection is idle now.
  const reports = times.length;
  await sleep(2200);
  assert.equal(bench.server.reportedAtMs.length, reports);
});

test('an open request without bytes is open and moves nothing', async () => {
  await using bench = await startBench();
  let write = (): void => undefined;
  const port = await bench.listen(address, (_incoming, response) => {
    response.flushHeaders();
    write = () => void response.write('x');
  });
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const outgoing = to(bench, route, port).end();
  await once(outgoing, 'response');
  await until(() => last(bench, route)?.openRequests === 1);
  await sleep(1500);
  const reports = bench.server.reportedAtMs.length;
  await sleep(1500);
  assert.equal(bench.server.reportedAtMs.length, reports);
  const bytesAt = last(bench, route)?.lastBytesAtMs ?? 0;
  write();
  await until(() => (last(bench, route)?.lastBytesAtMs ?? 0) > bytesAt);
  assert.equal(last(bench, route)?.requests, 0);
  outgoing.destroy();
  await until(() => last(bench, route)?.openRequests === 0);
});

test('clients of processes are attached, and keepalives are no bytes', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  bench.server.addKey(key, { projectId: route.projectId });
  const incoming = await startStream(bench, route);
  const reading = readStream(incoming);
  await until(() => last(bench, route)?.attached === 1);
  await sleep(1200);
  const quietAt = last(bench, route)?.lastBytesAtMs ?? 0;
  const reports = bench.server.reportedAtMs.length;
  for (let round = 0; round < 4; round++) {
    guest.streams[0]?.send(keepalive);
    await sleep(400);
  }
  assert.equal(bench.server.reportedAtMs.length, reports);
  guest.streams[0]?.send(output('work'));
  await until(() => (last(bench, route)?.lastBytesAtMs ?? 0) > quietAt);
  const body = '{"command":"sleep"}';
  const headers = { 'x-api-key': key, 'content-type': 'application/json' };
  const exec = fetch(`${bench.base}/v1/sandboxes/${route.sandboxId}/exec`, { method: 'POST', headers, body });
  await until(() => last(bench, route)?.attached === 2);
  guest.streams[1]?.send({ event: { end: { exitCode: 0, exited: true } } });
  guest.streams[1]?.send({}, 2);
  guest.streams[1]?.response.end();
  assert.equal((await exec).status, 200);
  guest.streams[0]?.send({}, 2);
  guest.streams[0]?.response.end();
  await reading;
  await until(() => last(bench, route)?.attached === 0);
  assert.equal(last(bench, route)?.openRequests, 0);
});

test("a WebSocket's pings are no bytes, its messages are", async () => {
  await using bench = await startBench();
  const inside = createServer();
  let within: Socket | undefined;
  inside.on('upgrade', (_incoming, socket: Socket) => {
    within = socket;
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.resume();
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  const port = await bench.listen(address, inside);
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const outgoing = to(bench, route, port, '/', { headers: { connection: 'upgrade', upgrade: 'websocket' } }).end();
  const [, socket] = (await once(outgoing, 'upgrade')) as [IncomingMessage, Socket];
  socket.on('error', () => undefined);
  await until(() => last(bench, route)?.openRequests === 1);
  await sleep(1200);
  const reports = bench.server.reportedAtMs.length;
  const ping = Buffer.from([0x89, 0x01, 0x70]);
  const pong = Buffer.from([0x8a, 0x81, 1, 2, 3, 4, 0x71]);
  for (let round = 0; round < 3; round++) {
    within?.write(ping);
    socket.write(pong);
    await sleep(400);
  }
  assert.equal(bench.server.reportedAtMs.length, reports);
  within?.write(Buffer.from([0x82, 0x01, 0x07]));
  await until(() => bench.server.reportedAtMs.length > reports);
  socket.destroy();
  await until(() => last(bench, route)?.openRequests === 0);
});

test('what cannot be reported is reported later, and all that is open to a server that starts anew', async () => {
  await using bench = await startBench();
  const port = await bench.listen(address, (incoming, response) => {
    if (incoming.url === '/open') response.flushHeaders();
    else response.end('ok');
  });
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const outgoing = to(bench, route, port, '/open').end();
  await once(outgoing, 'response');
  await until(() => last(bench, route)?.openRequests === 1);
  await bench.server.stop();
  for (let round = 0; round < 3; round++) assert.equal((await ask(bench, route, port))[0], 200);
  await sleep(1200);
  bench.server.traffic.length = 0;
  await bench.server.start();
  await until(() => bench.server.traffic.reduce((sum, { requests }) => sum + requests, 0) === 3);
  assert.equal(last(bench, route)?.openRequests, 1);
  outgoing.destroy();
});

test('asking for health and being refused is no activity', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  for (let round = 0; round < 3; round++) await ask(bench, route, guestPort, '/health');
  assert.equal((await ask(bench, route, 8000))[0], 401);
  await sleep(1200);
  assert.deepEqual(bench.server.traffic, []);
});
