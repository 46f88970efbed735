import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { Instance, type SandboxView } from './instance.ts';

let skerry: Instance;
let sandbox: SandboxView;
before(async () => {
  skerry = await Instance.start();
  sandbox = await skerry.create({ name: 'target' });
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

async function problem(
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; code: unknown; type: string | null }> {
  const response = await fetch(skerry.url + path, {
    ...init,
    headers: { authorization: `Bearer ${skerry.key}`, ...(init.headers as Record<string, string>) },
  });
  const text = await response.text();
  let code: unknown;
  try {
    code = (JSON.parse(text) as { code?: unknown }).code;
  } catch {
    code = text;
  }
  return { status: response.status, code, type: response.headers.get('content-type') };
}

test('bad keys get a 401 problem document everywhere', async () => {
  const keys = [
    '',
    'Bearer',
    'Bearer x',
    `Bearer skerry_${'0'.repeat(40)}`,
    `Basic ${btoa('a:b')}`,
    `Bearer ${skerry.key}x`,
    `Bearer ${skerry.key} ${skerry.key}`,
  ];
  for (const authorization of keys)
    for (const path of [
      '/v1/sandboxes',
      `/v1/sandboxes/${sandbox.id}`,
      '/v1/keys',
      `/v1/sandboxes/${sandbox.id}/files?path=/etc/passwd`,
    ]) {
      const answer = await problem(path, { headers: { authorization } });
      assert.deepEqual([answer.status, answer.code], [401, 'unauthenticated'], `${path} with "${authorization}"`);
      assert.match(answer.type ?? '', /problem\+json/);
    }
});

test('malformed bodies, names, ids and queries get a 4xx problem document', async () => {
  const json = { 'content-type': 'application/json' };
  const cases: readonly [string, RequestInit][] = [
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '{' }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '[]' }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '{"unknown":1}' }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '{"name":"../x"}' }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: `{"name":"${sandbox.id}"}` }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '{"memoryMiB":-1}' }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '{"memoryMiB":1e99}' }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '{"template":"no-such"}' }],
    ['/v1/sandboxes', { method: 'POST', headers: json, body: '{"env":{"A=B":"c"}}' }],
    ['/v1/sandboxes', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' }],
    ['/v1/sandboxes?limit=0', {}],
    ['/v1/sandboxes?cursor=%00', {}],
    ['/v1/sandboxes?status=no-such', {}],
    ['/v1/sandboxes/..%2f..%2fetc', {}],
    ['/v1/sandboxes/%00', {}],
    ['/v1/sandboxes/sb00000000000000000000', {}],
    ['/v1/no-such', {}],
    [`/v1/sandboxes/${sandbox.id}/exec`, { method: 'POST', headers: json, body: '{}' }],
    [
      `/v1/sandboxes/${sandbox.id}/exec`,
      { method: 'POST', headers: json, body: '{"command":"true","user":"no-such-user"}' },
    ],
    [
      `/v1/sandboxes/${sandbox.id}/exec`,
      { method: 'POST', headers: json, body: '{"command":"true","cwd":"/no/such"}' },
    ],
    [`/v1/sandboxes/${sandbox.id}/exec`, { method: 'POST', headers: json, body: '{"command":["/no/such/program"]}' }],
    [`/v1/sandboxes/${sandbox.id}/files`, {}],
    [`/v1/sandboxes/${sandbox.id}/files?path=/no/such`, {}],
    [`/v1/sandboxes/${sandbox.id}/files?path=/etc`, {}],
  ];
  for (const [path, init] of cases) {
    const answer = await problem(path, init);
    assert.ok(answer.status >= 400 && answer.status < 500, `${path} ${String(init.body)} answered ${answer.status}`);
    assert.match(answer.type ?? '', /problem\+json/, `${path} ${String(init.body)}`);
  }
  assert.equal(await skerry.sh('target', 'echo well'), 'well\n');
});

test('a body beyond the limit is refused with 413', async () => {
  const answer = await problem('/v1/sandboxes', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"labels":{"a":"${'x'.repeat(3 << 20)}"}}`,
  });
  assert.equal(answer.status, 413);
});

test("another project's key sees nothing of a sandbox, and a viewer changes nothing", async () => {
  const made = await skerry.api('POST', '/v1/keys', { name: 'reader', role: 'viewer' });
  assert.equal(made.status, 201);
  const authorization = `Bearer ${String(made.body['key'])}`;
  assert.equal((await problem('/v1/sandboxes', { headers: { authorization } })).status, 200);
  for (const [path, method, body] of [
    ['/v1/sandboxes', 'POST', '{}'],
    [`/v1/sandboxes/${sandbox.id}`, 'DELETE', undefined],
    [`/v1/sandboxes/${sandbox.id}/exec`, 'POST', '{"command":"true"}'],
    ['/v1/keys', 'POST', '{"name":"x"}'],
  ] as const)
    assert.equal(
      (
        await problem(path, {
          method,
          headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          ...(body === undefined ? {} : { body }),
        })
      ).status,
      403,
      `${method} ${path}`,
    );
  const listed = await skerry.api('GET', '/v1/sandboxes/target', undefined, { authorization });
  assert.equal(listed.body['accessToken'], undefined);
  assert.equal((await skerry.api('DELETE', `/v1/keys/${String(made.body['id'])}`)).status, 200);
  assert.equal((await problem('/v1/sandboxes', { headers: { authorization } })).status, 401);
});

/** Sends bytes as they are and gives back what comes until the peer is silent or closes. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(skerry.port, '127.0.0.1');
  let text = '';
  socket.setTimeout(3000, () => socket.destroy());
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

test('malformed requests end in 400 or a closed connection, and everything goes on', async () => {
  const head = `Host: 127.0.0.1\r\nE2b-Sandbox-Id: ${sandbox.id}\r\nE2b-Sandbox-Port: 49983\r\n`;
  const attacks = [
    'GARBAGE\r\n\r\n',
    `POST /health HTTP/1.1\r\n${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`,
    `POST /health HTTP/1.1\r\n${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345`,
    `POST /process.Process/Start HTTP/1.1\r\n${head}X-Access-Token: ${sandbox.accessToken}\r\nContent-Type: application/connect+json\r\nContent-Length: 10\r\nConnection: close\r\n\r\n\xff\xff\xff\xff\xffaaaaa`,
    `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n${head}\r\n`,
    `GET /../../v1/sandboxes HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`,
  ];
  for (const attack of attacks) {
    const answer = await raw(attack);
    assert.ok(
      answer === '' ||
        /^HTTP\/1\.1 (4\d\d|200 OK\r\n[\s\S]*invalid)/i.test(answer) ||
        /resource_exhausted|invalid_argument|error/.test(answer),
      `${attack.slice(0, 60)} → ${answer.slice(0, 300)}`,
    );
  }
  assert.equal(await skerry.sh('target', 'echo well'), 'well\n');
  assert.equal((await skerry.get(sandbox.id)).lastExit, undefined);
});
