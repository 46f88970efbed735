import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Route } from '@skerry/protocol';
import { startBench, until } from './testing/bench.ts';
import { to } from './testing/client.ts';
import { open, raw } from './testing/raw.ts';

test('a client that goes away ends the request in the sandbox at once', async () => {
  await using bench = await startBench();
  let closed = 0;
  let begun = 0;
  const port = await bench.listen('127.77.0.9', (incoming, response) => {
    begun += 1;
    response.once('close', () => void (closed += 1));
    if (incoming.url === '/stream') response.write('x');
    incoming.resume();
  });
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  for (const [path, method] of [
    ['/stream', 'GET'],
    ['/silent', 'GET'],
    ['/upload', 'POST'],
  ] as const) {
    const before = closed;
    const outgoing = to(bench, route, port, path, { method });
    if (method === 'POST') outgoing.write('part');
    else outgoing.end();
    const started = begun;
    await until(() => begun > started);
    outgoing.destroy();
    await until(() => closed === before + 1);
  }
});

test('an answer that the sandbox breaks off is broken off for the client', async () => {
  await using bench = await startBench();
  const port = await bench.listen('127.77.0.9', (_incoming, response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('part');
    setTimeout(() => response.destroy(), 20);
  });
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const outgoing = to(bench, route, port).end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  incoming.resume();
  await assert.rejects(once(incoming, 'end'), { code: 'ECONNRESET' });
});

test('a sandbox that is gone drops its streams, waiting requests and upgraded connections', async () => {
  await using bench = await startBench();
  const { createServer } = await import('node:http');
  const inside = createServer((incoming, response) => {
    if (incoming.url === '/stream') response.write('x');
  });
  inside.on('upgrade', (_incoming, socket: Socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  });
  const port = await bench.listen('127.77.0.9', inside);
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const stream = to(bench, route, port, '/stream').end();
  const [streamed] = (await once(stream, 'response')) as [IncomingMessage];
  const waiting = to(bench, route, port, '/wait').end();
  const upgrading = to(bench, route, port, '/', { headers: { connection: 'upgrade', upgrade: 'echo' } }).end();
  const [, socket] = (await once(upgrading, 'upgrade')) as [IncomingMessage, Socket];
  socket.on('error', () => undefined);
  await sleep(50);
  const upgradeEnded = once(socket, 'close');
  const answered = once(waiting, 'response');
  bench.server.removeRoute(route);
  streamed.resume();
  await assert.rejects(once(streamed, 'end'));
  const [answer] = (await answered) as [IncomingMessage];
  assert.equal(answer.statusCode, 502);
  await upgradeEnded;
});

test('bodies pass both ways at once with back-pressure and trailers', async () => {
  await using bench = await startBench();
  let received = 0;
  const port = await bench.listen('127.77.0.9', (incoming, response) => {
    response.writeHead(200, { trailer: 'x-sum', 'transfer-encoding': 'chunked' });
    incoming.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    incoming.pipe(response, { end: false });
    incoming.on('end', () => {
      response.addTrailers({ 'x-sum': String(received), 'x-request': String(incoming.trailers['x-last']) });
      response.end();
    });
  });
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const outgoing = to(bench, route, port, '/', {
    method: 'POST',
    headers: { 'transfer-encoding': 'chunked', trailer: 'x-last' },
  });
  outgoing.write('first');
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  // Nobody reads the echo: the gateway must stop taking the upload, at the latest when all buffers between are full.
  const chunk = Buffer.alloc(1024 * 1024);
  let sent = 0;
  while (sent < 64) {
    sent += 1;
    if (!outgoing.write(chunk) && (await Promise.race([once(outgoing, 'drain'), sleep(500, 'stuck')])) === 'stuck')
      break;
  }
  assert.ok(sent < 64, `${sent} MiB were taken`);
  let echoed = 0;
  incoming.on('data', (part: Buffer) => void (echoed += part.length));
  outgoing.addTrailers({ 'x-last': 'bye' });
  outgoing.end();
  await once(incoming, 'end');
  assert.equal(echoed, 5 + sent * chunk.length);
  assert.deepEqual({ ...incoming.trailers }, { 'x-sum': String(echoed), 'x-request': 'bye' });
});

test('Expect: 100-continue is answered by the sandbox, and a refusal closes the connection', async () => {
  await using bench = await startBench();
  const port = await bench.listen(
    '127.77.0.9',
    (incoming, response) => void incoming.resume().on('end', () => response.end('done')),
  );
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const outgoing = to(bench, route, port, '/', {
    method: 'POST',
    headers: { expect: '100-continue', 'content-length': '4' },
  });
  outgoing.flushHeaders();
  await once(outgoing, 'continue');
  const answered = once(outgoing, 'response');
  outgoing.end('body');
  const [answer] = (await answered) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  const closed = `POST / HTTP/1.1\r\nHost: 1-${route.sandboxId}.skerry.localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
  const refusal = await raw(bench.gateway.port, closed, 2000);
  assert.match(refusal, /^HTTP\/1\.1 502 [^]*Connection: close/i);
});

test('upgrades are spliced after a 101 and not before', async () => {
  await using bench = await startBench();
  const { createServer } = await import('node:http');
  const inside = createServer((_incoming, response) => response.end('plain'));
  inside.on('upgrade', (incoming, socket: Socket) => {
    socket.on('error', () => undefined);
    if (incoming.url === '/no') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    else {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${incoming.headers.upgrade}\r\nX-Saw: ${incoming.headers['x-forwarded-for']}\r\n\r\n`,
      );
      socket.pipe(socket);
    }
  });
  const port = await bench.listen('127.77.0.9', inside);
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const head = `Host: ${port}-${route.sandboxId}.skerry.localhost\r\nConnection: Upgrade\r\n`;
  const echo = await raw(bench.gateway.port, `GET /yes HTTP/1.1\r\n${head}Upgrade: websocket\r\n\r\nearly bytes`);
  assert.match(echo, /^HTTP\/1\.1 101 [^]*Upgrade: websocket[^]*X-Saw: 127\.0\.0\.1\r\n\r\nearly bytes$/);
  const refusal = await raw(
    bench.gateway.port,
    `GET /no HTTP/1.1\r\n${head}Upgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`,
    1000,
  );
  assert.match(refusal, /^HTTP\/1\.1 403 [^]*no$/);
  for (const upgrade of ['h2c', 'websocket, h2c', 'TLS/1.0'])
    assert.match(
      await raw(bench.gateway.port, `GET /plain HTTP/1.1\r\n${head}Upgrade: ${upgrade}\r\n\r\n`),
      /^HTTP\/1\.1 200 [^]*plain/,
    );
  const withBody = await raw(
    bench.gateway.port,
    `GET /plain HTTP/1.1\r\n${head}Upgrade: websocket\r\nContent-Length: 3\r\n\r\nabc`,
  );
  assert.match(withBody, /^HTTP\/1\.1 200 [^]*plain/);
  assert.match(
    await raw(bench.gateway.port, 'CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n'),
    /^HTTP\/1\.1 501 /,
  );
});

test('two sandboxes and two boots are never mixed on kept connections', async () => {
  await using bench = await startBench();
  let connections = 0;
  const answerAs = (name: string) => (_incoming: IncomingMessage, response: ServerResponse) => response.end(name);
  const { createServer } = await import('node:http');
  const first = createServer(answerAs('one'));
  first.on('connection', () => void (connections += 1));
  const port = await bench.listen('127.77.0.9', first);
  await bench.listen('127.77.0.10', answerAs('two'), port);
  const one = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const two = bench.server.addRoute('127.77.0.10', { portAccess: 'public' });
  const ask = async (route: Route): Promise<string> =>
    await (
      await fetch(bench.base, { headers: { 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': String(port) } })
    ).text();
  for (let round = 0; round < 20; round++) assert.deepEqual([await ask(one), await ask(two)], ['one', 'two']);
  assert.equal(connections, 1);
  // The same address, given to another sandbox: its requests use connections of their own.
  bench.server.removeRoute(one);
  const third = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  assert.equal(await ask(third), 'one');
  assert.equal(connections, 2);
});

test('a kept connection that the sandbox has closed costs a GET nothing', async () => {
  await using bench = await startBench();
  let served = 0;
  const inside = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    let first = true;
    socket.on('data', () => {
      // Accepts a second request on the connection and resets it, as a server does whose idle time is over.
      if (!first) return void socket.resetAndDestroy();
      first = false;
      served += 1;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  inside.listen(0, '127.77.0.9');
  await once(inside, 'listening');
  const address = inside.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  for (let round = 0; round < 4; round++) {
    const answer = await fetch(bench.base, {
      headers: { 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': String(port) },
    });
    assert.equal(await answer.text(), 'ok');
  }
  assert.equal(served, 4);
  inside.close();
});

test('the end of the gateway waits a moment for streams, not for ever', async () => {
  const bench = await startBench();
  const port = await bench.listen('127.77.0.9', (_incoming, response) => response.write('x'));
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const outgoing = to(bench, route, port).end();
  await once(outgoing, 'response');
  const idle = await open(bench.gateway.port);
  const startedAt = performance.now();
  await bench[Symbol.asyncDispose]();
  assert.ok(performance.now() - startedAt < 4000);
  idle.destroy();
});

test('an answer that comes before the body leaves the connection to the next request', async () => {
  await using bench = await startBench();
  const port = await bench.listen('127.77.0.9', (incoming, response) => {
    if (incoming.url === '/next') return void response.end('next');
    // Read only after the answer, as Node itself does with a body that nobody asked for.
    response.writeHead(413).end('too large');
  });
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const head = `Host: x\r\nE2b-Sandbox-Id: ${route.sandboxId}\r\nE2b-Sandbox-Port: ${port}\r\n`;
  const body = 'x'.repeat(8 << 20);
  const socket = await open(bench.gateway.port);
  let answers = '';
  socket.on('data', (chunk: Buffer) => void (answers += chunk.toString()));
  socket.write(`POST /big HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 1000)}`);
  await until(() => answers.includes('too large'));
  socket.write(`${body.slice(1000)}GET /next HTTP/1.1\r\n${head}\r\n`);
  await until(() => answers.endsWith('next'));
  assert.deepEqual(answers.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 413', 'HTTP/1.1 200']);
  socket.destroy();
});
