import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { startBench } from './testing/bench.ts';
import { raw, statuses } from './testing/raw.ts';

test('the front door refuses requests whose framing two readers could read differently', async () => {
  await using bench = await startBench();
  const seen: string[] = [];
  const port = await bench.listen('127.77.0.9', (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => response.end('ok'));
  });
  const { sandboxId } = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const head = `Host: ${port}-${sandboxId}.skerry.localhost\r\n`;
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
  const cases: Record<string, string> = {
    'length and chunks': `POST / HTTP/1.1\r\n${head}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX`,
    'chunks and length': `POST / HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
    'two lengths': `POST / HTTP/1.1\r\n${head}Content-Length: 1\r\nContent-Length: 30\r\n\r\nX`,
    'equal lengths': `POST / HTTP/1.1\r\n${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\nX`,
    'length list': `POST / HTTP/1.1\r\n${head}Content-Length: 1, 1\r\n\r\nX`,
    'signed length': `POST / HTTP/1.1\r\n${head}Content-Length: +1\r\n\r\nX`,
    'chunked not last': `POST / HTTP/1.1\r\n${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    'unknown coding': `POST / HTTP/1.1\r\n${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    'space before colon': `POST / HTTP/1.1\r\n${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    'folded header': `GET / HTTP/1.1\r\n${head}X-A: b\r\n c\r\n\r\n`,
    'bare line feeds': `GET / HTTP/1.1\n${head.replace('\r', '')}\n`,
    'bare carriage return': `GET / HTTP/1.1\r\n${head}X-A: b\rX-B: c\r\n\r\n`,
    'nul in a header': `GET / HTTP/1.1\r\n${head}X-A: b\0c\r\n\r\n`,
    'no host': `GET / HTTP/1.1\r\n\r\n`,
    'two hosts': `GET / HTTP/1.1\r\n${head}Host: other\r\n\r\n`,
    'host with a path': `GET / HTTP/1.1\r\nHost: a/b\r\n\r\n`,
    'host with a user': `GET / HTTP/1.1\r\nHost: a@b\r\n\r\n`,
    'absolute target': `GET http://other/ HTTP/1.1\r\n${head}\r\n`,
    'two tokens': `GET / HTTP/1.1\r\n${head}X-Access-Token: a\r\nX-Access-Token: b\r\n\r\n`,
    'two sandboxes': `GET / HTTP/1.1\r\nHost: localhost\r\nE2b-Sandbox-Id: ${sandboxId}\r\nE2b-Sandbox-Id: ${sandboxId}\r\n\r\n`,
    'http/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  };
  for (const [name, bytes] of Object.entries(cases)) {
    const answer = await raw(bench.gateway.port, bytes);
    assert.match(answer, /^HTTP\/1\.1 4\d\d /, `${name}: ${answer}`);
    assert.equal(statuses(answer).length, 1, `${name}: ${answer}`);
  }
  assert.deepEqual(seen, []);
});

test('a body that is broken off or malformed in the middle never becomes a second request', async () => {
  await using bench = await startBench();
  const seen: string[] = [];
  const port = await bench.listen('127.77.0.9', (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.on('error', () => undefined);
    request.resume().on('end', () => response.end('ok'));
  });
  const { sandboxId } = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const head = `Host: ${port}-${sandboxId}.skerry.localhost\r\n`;
  for (const body of [
    '5\r\nhelloX\r\n0\r\n\r\n',
    '5;a="\nb"\r\nhello\r\n0\r\n\r\n',
    'zz\r\nhello\r\n0\r\n\r\n',
    '-5\r\nhello\r\n',
    '0x5\r\nhello\r\n0\r\n\r\n',
  ])
    await raw(
      bench.gateway.port,
      `POST /a HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n${body}GET /smuggled HTTP/1.1\r\n${head}\r\n`,
    );
  assert.ok(!seen.includes('GET /smuggled'), seen.join());
});

test('pipelined requests to different places are answered in order, each by its own', async () => {
  await using bench = await startBench();
  bench.server.api = (request, response) => response.end(`api ${request.url}`);
  const ports: string[] = [];
  for (const [index, address] of ['127.77.0.9', '127.77.0.10'].entries()) {
    const port = await bench.listen(address, (request, response) => {
      let body = '';
      request
        .on('data', (chunk) => void (body += String(chunk)))
        .on('end', () => setTimeout(() => response.end(`box${index} ${request.url} ${body}`), 20 * (2 - index)));
    });
    const { sandboxId } = bench.server.addRoute(address, { portAccess: 'public' });
    ports.push(`${port}-${sandboxId}.skerry.localhost`);
  }
  const requests = [
    `POST /1 HTTP/1.1\r\nHost: ${ports[0]}\r\nContent-Length: 3\r\n\r\nabc`,
    `POST /2 HTTP/1.1\r\nHost: ${ports[1]}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n`,
    `GET /3 HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    `GET /4 HTTP/1.1\r\nHost: ${ports[0]}\r\n\r\n`,
  ];
  const answer = await raw(bench.gateway.port, requests.join(''));
  assert.deepEqual(answer.match(/(?:box\d|api) \/\d(?: abc| def)?/g), [
    'box0 /1 abc',
    'box1 /2 def',
    'api /3',
    'box0 /4',
  ]);
});

test('a slow or a huge head is refused', async () => {
  await using bench = await startBench();
  const answer = await raw(
    bench.gateway.port,
    `GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: ${'x'.repeat(40_000)}\r\n\r\n`,
  );
  assert.match(answer, /^HTTP\/1\.1 431 /);
});

test('a sandbox that answers nonsense breaks its own connection only', async () => {
  await using bench = await startBench();
  const replies = [
    'nonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 999999 X\r\n\r\n',
    'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'HTTP/1.1 200 OK\r\nA\0b: c\r\n\r\n',
  ];
  let next = 0;
  const broken = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(replies[next] ?? ''));
  });
  broken.listen(0, '127.77.0.9');
  await once(broken, 'listening');
  const address = broken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { sandboxId } = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  for (next = 0; next < replies.length; next++) {
    const answer = await fetch(bench.base, {
      headers: { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': String(port) },
    });
    assert.equal(answer.status, 502, replies[next]);
  }
  broken.close();
});

test('random bytes never end the gateway and never reach the server as a request of their own', async () => {
  await using bench = await startBench();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      await raw(bench.gateway.port, Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n'), bytes]), 30);
    }),
    { numRuns: 30 },
  );
  assert.equal((await fetch(`${bench.base}/health`)).status, 200);
});
