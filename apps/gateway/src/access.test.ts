import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId, Problem } from '@skerry/model';
import type { Route } from '@skerry/protocol';
import { type Bench, startBench, until } from './testing/bench.ts';
import { raw } from './testing/raw.ts';

const key = `skerry_${'a'.repeat(40)}`;
const viewerKey = `skerry_${'b'.repeat(40)}`;
const strangerKey = `e2b_${'c'.repeat(40)}`;

interface Place {
  readonly bench: Bench;
  readonly route: Route;
  readonly port: number;
  /** Asks for a path of a port of the sandbox. */
  readonly ask: (
    headers: Record<string, string>,
    options?: { port?: number; sandbox?: string; path?: string },
  ) => Promise<Response>;
}

/** A bench with one private sandbox, where everything that listens answers with the headers that it got. */
async function place(bench: Bench): Promise<Place> {
  const echo = (incoming: IncomingMessage, response: ServerResponse): void => {
    response.end(JSON.stringify({ path: incoming.url, ...incoming.headers }));
  };
  const port = await bench.listen('127.77.0.9', echo);
  await bench.listen('127.77.0.9', echo, 49983);
  await bench.listen('127.77.0.9', echo, 49999);
  const route = bench.server.addRoute('127.77.0.9', { name: 'box' });
  bench.server.addKey(key, { projectId: route.projectId });
  bench.server.addKey(viewerKey, { projectId: route.projectId, role: 'viewer' });
  bench.server.addKey(strangerKey, { projectId: newId('project') });
  return {
    bench,
    route,
    port,
    ask: async (headers, options = {}) =>
      await fetch(`${bench.base}${options.path ?? '/'}`, {
        headers: {
          ...headers,
          'e2b-sandbox-id': options.sandbox ?? route.sandboxId,
          'e2b-sandbox-port': String(options.port ?? port),
        },
      }),
  };
}
async function seen(answer: Promise<Response>): Promise<Record<string, string>> {
  const got = await answer;
  assert.equal(got.status, 200, await got.clone().text());
  return (await got.json()) as Record<string, string>;
}
async function refused(answer: Promise<Response>): Promise<[number, unknown]> {
  const got = await answer;
  const body = (await got.json()) as Record<string, unknown>;
  return [got.status, body['reason'] ?? body['message']];
}

test('a private port opens to a key of its project and to the tokens of its sandbox, and shows none of them', async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  const secrets = [
    { authorization: `Bearer ${key}` },
    { 'x-api-key': key },
    { 'x-access-token': route.accessToken },
    { 'e2b-traffic-access-token': route.accessToken },
  ];
  for (const headers of secrets) {
    const got = JSON.stringify(await seen(ask(headers)));
    for (const secret of [key, route.accessToken]) assert.ok(!got.includes(secret), got);
  }
  assert.deepEqual(await refused(ask({})), [401, 'missing_key']);
  assert.deepEqual(await refused(ask({ authorization: 'Bearer something-else' })), [401, 'missing_key']);
  assert.deepEqual(await refused(ask({ 'x-api-key': `skerry_${'d'.repeat(40)}` })), [401, 'invalid_key']);
  assert.deepEqual(await refused(ask({ 'x-access-token': 'wrong' })), [403, 'wrong_token']);
  assert.deepEqual(await refused(ask({ 'x-api-key': viewerKey })), [403, 'role_too_low']);
  assert.deepEqual(await refused(ask({ 'x-api-key': strangerKey })), [502, 'The sandbox was not found']);
});

test('credentials of an application itself pass, and the code interpreter gets its token', async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  const own = await seen(
    ask({ authorization: 'Bearer app', 'x-api-key': 'app', 'x-access-token': route.accessToken, cookie: 'a=b' }),
  );
  assert.deepEqual(
    [own['authorization'], own['x-api-key'], own['x-access-token'], own['cookie']],
    ['Bearer app', 'app', undefined, 'a=b'],
  );
  const interpreter = await seen(ask({ 'x-access-token': route.accessToken }, { port: 49999 }));
  assert.equal(interpreter['x-access-token'], route.accessToken);
});

test("the guest's port gets the token for a key and judges everything else itself", async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  const guest = { port: 49983 };
  const basic = await seen(ask({ 'x-api-key': key, authorization: 'Basic dXNlcjo=' }, guest));
  assert.deepEqual(
    [basic['x-access-token'], basic['authorization'], basic['x-api-key']],
    [route.accessToken, 'Basic dXNlcjo=', undefined],
  );
  const bearer = await seen(ask({ authorization: `Bearer ${key}` }, guest));
  assert.deepEqual([bearer['x-access-token'], bearer['authorization']], [route.accessToken, undefined]);
  const own = await seen(ask({ 'x-access-token': 'wrong', 'x-api-key': key }, guest));
  assert.deepEqual([own['x-access-token'], own['x-api-key']], ['wrong', undefined]);
  assert.equal((await seen(ask({}, guest)))['x-access-token'], undefined);
  assert.deepEqual(await refused(ask({ 'x-api-key': viewerKey }, guest)), [403, 'role_too_low']);
});

test('internal paths of the guest and its control port cannot be reached', async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  await bench.listen('127.77.0.9', (_incoming, response) => response.end('control'), 49982);
  for (const path of ['/init', '/init/', '/INIT', '/%69nit', '/freeze', '/collapse?x'])
    assert.deepEqual(await refused(ask({ 'x-api-key': key }, { port: 49983, path })), [404, 'no_such_path']);
  for (const path of [
    '//init',
    '/./init',
    '/x/../init',
    '/%2e%2e/init',
    '/x%2f..%2finit',
    '/.%2finit',
    '/%00',
    '/a\\init',
    '/%zz',
    '/init;x',
    '/%5cinit',
  ]) {
    const answer = await raw(
      bench.gateway.port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nE2b-Sandbox-Id: ${route.sandboxId}\r\nX-API-Key: ${key}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 400 [^]*invalid_path/, path);
  }
  assert.deepEqual(await refused(ask({ 'x-api-key': key }, { port: 49982 })), [403, 'reserved_port']);
  assert.match(
    await raw(
      bench.gateway.port,
      `GET / HTTP/1.1\r\nHost: 49982-${route.sandboxId}.skerry.localhost\r\nConnection: close\r\n\r\n`,
    ),
    /^HTTP\/1\.1 403 /,
  );
  for (const port of ['0', '65536', '-1', '1e3', 'x', ''])
    assert.deepEqual(
      await refused(fetch(bench.base, { headers: { 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': port } })),
      [400, 'invalid_port'],
    );
});

test('a host of a sandbox decides alone, and a host of nobody is nobody', async () => {
  await using bench = await startBench();
  const { port, route } = await place(bench);
  const other = newId('sandbox');
  const head = `E2b-Sandbox-Id: ${route.sandboxId}\r\nE2b-Sandbox-Port: ${port}\r\nX-API-Key: ${key}\r\nConnection: close\r\n\r\n`;
  assert.match(
    await raw(bench.gateway.port, `GET / HTTP/1.1\r\nHost: ${port}-${other}.skerry.localhost\r\n${head}`),
    /^HTTP\/1\.1 502 /,
  );
  for (const host of ['localhost:7070', '127.0.0.1', '[::1]:80', 'sandbox.skerry.localhost', 'SKERRY.localhost.'])
    assert.match(await raw(bench.gateway.port, `GET / HTTP/1.1\r\nHost: ${host}\r\n${head}`), /^HTTP\/1\.1 200 /, host);
  assert.match(
    await raw(bench.gateway.port, `GET / HTTP/1.1\r\nHost: other.skerry.localhost\r\n${head}`),
    /^HTTP\/1\.1 404 [^]*unknown_host/,
  );
});

test('a name reaches a sandbox with a key of its project only', async () => {
  await using bench = await startBench();
  const { ask } = await place(bench);
  assert.equal((await ask({ 'x-api-key': key }, { sandbox: 'box' })).status, 200);
  assert.equal((await ask({ 'x-api-key': strangerKey }, { sandbox: 'box' })).status, 502);
  assert.equal((await ask({}, { sandbox: 'box' })).status, 502);
});

test('a sandbox on its way up is waited for, and one that does not run answers exec with 409', async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  bench.server.removeRoute(route);
  bench.server.resolve = async ({ waitMs }) => {
    assert.equal(waitMs, 60_000);
    await sleep(50);
    return route;
  };
  assert.equal((await ask({ 'x-api-key': key })).status, 200);
  bench.server.resolve = async () => {
    throw new Problem('conflict', 'Sandbox "box" is stopped', {
      reason: 'sandbox_not_running',
      hint: 'skerry start box',
    });
  };
  assert.deepEqual(await refused(ask({ 'x-api-key': key })), [502, 'The sandbox was not found']);
  const exec = fetch(`${bench.base}/v1/sandboxes/box/exec`, {
    method: 'POST',
    body: '{"command":"true"}',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
  });
  assert.deepEqual(await refused(exec), [409, 'sandbox_not_running']);
  let aborted = false;
  bench.server.resolve = async (_request, signal) =>
    await new Promise<Route>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted = true;
        reject(new Problem('cancelled', 'Gone'));
      });
    });
  const leaving = request(`${bench.base}/`, { headers: { 'x-api-key': key, 'e2b-sandbox-id': route.sandboxId } }).end();
  leaving.on('error', () => undefined);
  const calls = bench.server.calls.resolve;
  await until(() => bench.server.calls.resolve > calls);
  leaving.destroy();
  await until(() => aborted);
});

test('a revoked key is cut at once, with the streams that it opened', async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  const port = await bench.listen('127.77.0.9', (_incoming, response) => void response.write('x'));
  const headers = { 'x-api-key': key, 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': String(port) };
  const outgoing = request(bench.base, { headers }).end();
  const [stream] = (await once(outgoing, 'response')) as [IncomingMessage];
  stream.resume();
  const ended = assert.rejects(once(stream, 'end'));
  const asked = bench.server.calls.authorize;
  for (let round = 0; round < 5; round++) assert.equal((await ask({ 'x-api-key': key })).status, 200);
  assert.equal(bench.server.calls.authorize, asked);
  bench.server.revoke(key);
  await ended;
  assert.deepEqual(await refused(ask({ 'x-api-key': key })), [401, 'invalid_key']);
});

test('sandboxes stay reachable while the server restarts, and the routes follow afterwards', async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  const second = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  await until(() => true);
  assert.equal((await ask({ 'x-api-key': key })).status, 200);
  assert.equal((await ask({}, { sandbox: second.sandboxId })).status, 200);
  await bench.server.stop();
  for (let round = 0; round < 3; round++) {
    assert.equal((await ask({ 'x-api-key': key })).status, 200);
    assert.equal((await ask({ 'x-access-token': route.accessToken })).status, 200);
  }
  assert.deepEqual(await refused(ask({ 'x-api-key': strangerKey })), [503, 'server_unavailable']);
  bench.server.routes.delete(second.sandboxId);
  await bench.server.start();
  await until(() => bench.server.feedCount === 1);
  assert.equal((await ask({ 'x-api-key': key })).status, 200);
  const gone = async (): Promise<boolean> => (await ask({}, { sandbox: second.sandboxId })).status === 502;
  for (let tries = 0; !(await gone()); tries++) assert.ok(tries < 50);
});

test('no secret comes into the log', async () => {
  await using bench = await startBench();
  const { ask, route } = await place(bench);
  await ask({ 'x-api-key': key });
  await ask({ 'x-access-token': route.accessToken }, { port: 1 });
  await bench.server.stop();
  await ask({ 'x-api-key': strangerKey });
  await fetch(`${bench.base}/v1/sandboxes?token=${route.accessToken}`, { headers: { 'x-api-key': key } });
  assert.ok(bench.log.length > 0);
  for (const secret of [key, strangerKey, route.accessToken]) assert.ok(!bench.log.join('').includes(secret));
});
