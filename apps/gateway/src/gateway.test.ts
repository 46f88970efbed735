import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { newId } from '@skerry/model';
import { startBench } from './testing/bench.ts';

const key = `skerry_${'a'.repeat(40)}`;

test('a request without a sandbox goes to the server with the client named truly', async () => {
  await using bench = await startBench();
  bench.server.api = (request, response) => {
    response.setHeader('x-seen', JSON.stringify(request.headers));
    request.pipe(response);
  };
  const answer = await fetch(`${bench.base}/v1/sandboxes?limit=1`, {
    method: 'POST',
    body: 'hello',
    headers: { 'x-forwarded-for': '6.6.6.6', x_real_ip: '6.6.6.6', forwarded: 'for=6.6.6.6', 'x-api-key': key },
  });
  assert.equal(await answer.text(), 'hello');
  const seen = JSON.parse(answer.headers.get('x-seen') ?? '{}') as Record<string, string>;
  assert.equal(seen['x-forwarded-for'], '127.0.0.1');
  assert.equal(seen['x-forwarded-host'], `127.0.0.1:${bench.gateway.port}`);
  assert.equal(seen['x-api-key'], key);
  assert.ok(!JSON.stringify(seen).includes('6.6.6.6'));
});

test('a server that is away gives 503 with a retry, and /health says so', async () => {
  await using bench = await startBench();
  assert.deepEqual(await (await fetch(`${bench.base}/health`)).json(), { gateway: 'ok', server: 'ok' });
  await bench.server.stop();
  const answer = await fetch(`${bench.base}/v1/sandboxes`);
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get('retry-after'), '1');
  const problem = (await answer.json()) as Record<string, unknown>;
  assert.deepEqual([problem['reason'], problem['retryable']], ['server_unavailable', true]);
  assert.deepEqual(await (await fetch(`${bench.base}/health`)).json(), { gateway: 'ok', server: 'unavailable' });
});

test('a public port of a sandbox is reached by host name and by header', async () => {
  await using bench = await startBench();
  const port = await bench.listen('127.77.0.9', (request, response) =>
    response.end(`${request.method} ${request.url} ${request.headers.host}`),
  );
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const byHeader = await fetch(`${bench.base}/a//b/../?q`, {
    headers: { 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': String(port) },
  });
  assert.equal(await byHeader.text(), `GET /a//?q 127.0.0.1:${bench.gateway.port}`);
  const { request } = await import('node:http');
  const host = `${port}-${route.sandboxId}.skerry.localhost:${bench.gateway.port}`;
  const outgoing = request({ port: bench.gateway.port, path: '/x', headers: { host } }).end();
  const [incoming] = await once(outgoing, 'response');
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  assert.equal(text, `GET /x ${host}`);
});

test('unknown sandboxes and closed ports answer 502 as E2B does', async () => {
  await using bench = await startBench();
  const unknown = newId('sandbox');
  const missing = await fetch(bench.base, { headers: { 'e2b-sandbox-id': unknown } });
  assert.equal(missing.status, 502);
  assert.deepEqual(await missing.json(), { sandboxId: unknown, message: 'The sandbox was not found', code: 502 });
  const route = bench.server.addRoute('127.77.0.9', { portAccess: 'public' });
  const headers = { 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': '1' };
  const closed = await fetch(bench.base, { headers });
  assert.equal(closed.status, 502);
  assert.deepEqual(await closed.json(), {
    sandboxId: route.sandboxId,
    message: 'The sandbox is running but port is not open',
    port: 1,
    code: 502,
  });
  const page = await fetch(bench.base, { headers: { ...headers, accept: 'text/html' } });
  assert.match(await page.text(), /^<!doctype html>/);
});
