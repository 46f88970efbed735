import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatListen, isLoopback, localUrl, parseListen, refuseOpenListen, refuseTakenPort } from './listen.ts';

test('parseListen() reads what formatListen() writes', () => {
  const addresses = fc.record({
    host: fc.oneof(fc.ipV4(), fc.constantFrom('localhost', '::1', '::', 'fe80::1')),
    port: fc.integer({ min: 1, max: 65_535 }),
  });
  fc.assert(fc.property(addresses, (listen) => assert.deepEqual(parseListen(formatListen(listen)), { ...listen })));
});

test('parseListen() takes a lone port as loopback, and refuses what is no address', () => {
  assert.deepEqual(parseListen(':7070'), { host: '127.0.0.1', port: 7070 });
  for (const text of ['', '7070', 'host', 'host:', 'host:0', 'host:65536', '::1:80', '[nonsense]:80', 'a:b:80'])
    assert.throws(() => parseListen(text), { reason: 'invalid_listen' }, text);
});

test('localUrl() is an address that clients on this machine reach', () => {
  assert.equal(localUrl({ host: '0.0.0.0', port: 1 }), 'http://127.0.0.1:1');
  assert.equal(localUrl({ host: '::', port: 1 }), 'http://[::1]:1');
  assert.equal(localUrl({ host: '::1', port: 1 }), 'http://[::1]:1');
  assert.equal(localUrl({ host: '10.0.0.1', port: 1 }), 'http://10.0.0.1:1');
});

test('refuseOpenListen() refuses all but loopback unless it is asked for', () => {
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', 'localhost']) {
    assert.ok(isLoopback(host));
    refuseOpenListen({ host, port: 1 }, false);
  }
  for (const host of ['0.0.0.0', '::', '192.168.1.1', 'example.com', '127.0.0.1.example.com']) {
    assert.throws(() => refuseOpenListen({ host, port: 1 }, false), { reason: 'insecure_listen' }, host);
    refuseOpenListen({ host, port: 1 }, true);
  }
});

test('refuseTakenPort() names a port that another program has', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await assert.rejects(refuseTakenPort({ host: '127.0.0.1', port }), {
    reason: 'port_taken',
    message: new RegExp(String(port)),
  });
  await new Promise((resolve) => server.close(resolve));
  await refuseTakenPort({ host: '127.0.0.1', port });
});
