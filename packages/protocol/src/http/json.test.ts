import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Problem } from '@skerry/model';
import { Type } from 'typebox';
import { bodyParser, ByteAnswer, createJsonServer, JsonClient, type JsonHandler } from '../index.ts';

async function withServer(
  routes: Record<string, JsonHandler>,
  use: (client: JsonClient, path: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'json-'));
  const path = join(directory, 's.sock');
  const server = createJsonServer(routes, () => undefined);
  server.listen(path);
  await once(server, 'listening');
  using client = new JsonClient(path, 'the test');
  try {
    await use(client, path);
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(directory, { recursive: true });
  }
}

test('JsonClient.call() gives parameters, query and body to the handler and its answer back', async () => {
  const parse = bodyParser(Type.Object({ n: Type.Integer() }));
  const routes: Record<string, JsonHandler> = {
    'PUT /v1/things/:id': async ({ params, query, body }) => ({
      id: params['id'],
      q: query.get('q'),
      n: parse(body).n + 1,
    }),
  };
  await withServer(routes, async (client) => {
    assert.deepEqual(await client.call('PUT', '/v1/things/a', { query: { q: 'x' }, body: { n: 1 } }), {
      id: 'a',
      q: 'x',
      n: 2,
    });
    await assert.rejects(client.call('PUT', '/v1/things/a', { body: { n: 'one' } }), {
      reason: 'invalid_body',
      message: /\/n/,
    });
    await assert.rejects(client.call('GET', '/v1/things/a'), { code: 'not_found' });
  });
});

test('JsonClient.call() throws the problem that the handler threw, without its context', async () => {
  const routes: Record<string, JsonHandler> = {
    'GET /p': async () => {
      throw new Problem('exhausted', 'No room', { reason: 'full', exhaustion: 'disk', context: { secret: 1 } });
    },
    'GET /e': async () => {
      throw new Error('internal words');
    },
  };
  await withServer(routes, async (client) => {
    await assert.rejects(client.call('GET', '/p'), { code: 'exhausted', reason: 'full', status: 507 });
    await assert.rejects(
      client.call('GET', '/e'),
      (error: Problem) => error.code === 'internal' && !error.message.includes('words'),
    );
  });
});

test('JsonClient.call() throws unavailable when nobody listens', async () => {
  using client = new JsonClient('/nonexistent/s.sock', 'the host daemon');
  await assert.rejects(client.call('GET', '/'), { code: 'unavailable', message: 'No answer from the host daemon' });
});

test('JsonClient.lines() gives each line as it comes, and its end aborts the handler', async () => {
  const stopped = Promise.withResolvers<void>();
  const routes: Record<string, JsonHandler> = {
    'GET /w': async ({ signal }) =>
      (async function* () {
        signal.addEventListener('abort', () => stopped.resolve());
        for (let n = 0; ; n++) {
          yield { n };
          await new Promise((resolve) => setImmediate(resolve));
        }
      })(),
  };
  await withServer(routes, async (client) => {
    const seen: unknown[] = [];
    for await (const line of client.lines('GET', '/w')) {
      seen.push(line);
      if (seen.length === 3) break;
    }
    assert.deepEqual(seen, [{ n: 0 }, { n: 1 }, { n: 2 }]);
    await stopped.promise;
  });
});

test('createJsonServer() refuses a body that is no JSON or too large', async () => {
  await withServer({ 'POST /b': async () => ({}) }, async (_client, socketPath) => {
    const post = async (body: string): Promise<number | undefined> => {
      const outgoing = request({ socketPath, method: 'POST', path: '/b' });
      outgoing.on('error', () => undefined);
      outgoing.end(body);
      const [response] = (await once(outgoing, 'response')) as [{ statusCode?: number; resume(): void }];
      response.resume();
      return response.statusCode;
    };
    assert.equal(await post('{'), 400);
    assert.equal(await post(`"${'x'.repeat(5 * 1024 * 1024)}"`), 400);
  });
});

test('bytes go both ways as they come', async () => {
  const routes: Record<string, JsonHandler> = {
    'PUT /in': async ({ content }) => {
      let bytes = 0;
      for await (const chunk of content) bytes += chunk.length;
      return { bytes };
    },
    'GET /out': async () =>
      new ByteAnswer(
        (async function* () {
          for (let n = 0; n < 100; n++) yield Buffer.alloc(65_536, n);
        })(),
      ),
  };
  await withServer(routes, async (client) => {
    async function* content(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 100; n++) yield Buffer.alloc(65_536, n);
    }
    assert.deepEqual(await client.call('PUT', '/in', { content: content() }), { bytes: 6_553_600 });
    let bytes = 0;
    for await (const chunk of client.bytes('GET', '/out')) bytes += chunk.length;
    assert.equal(bytes, 6_553_600);
  });
});

test('bytes that fail are told: before the first one as a problem, later as a broken connection, and while sending as they failed', async () => {
  const failing = (after: number) =>
    (async function* () {
      for (let n = 0; n < after; n++) yield Buffer.alloc(65_536);
      throw new Problem('data_loss', 'Damaged', { reason: 'damaged' });
    })();
  const routes: Record<string, JsonHandler> = {
    'GET /early': async () => new ByteAnswer(failing(0)),
    'GET /late': async () => new ByteAnswer(failing(3)),
    'PUT /refused': async () => {
      throw new Problem('unsupported', 'Not here', { reason: 'not_here' });
    },
    'PUT /in': async ({ content }) => {
      for await (const chunk of content) void chunk;
      return {};
    },
  };
  await withServer(routes, async (client) => {
    const read = async (path: string): Promise<void> => {
      for await (const chunk of client.bytes('GET', path)) void chunk;
    };
    await assert.rejects(read('/early'), { reason: 'damaged' });
    await assert.rejects(read('/late'), { reason: 'peer_lost' });
    await assert.rejects(client.call('PUT', '/in', { content: failing(3) }), { reason: 'damaged' });
    const endless = (async function* () {
      for (;;) yield Buffer.alloc(65_536);
    })();
    await assert.rejects(client.call('PUT', '/refused', { content: endless }), { reason: 'not_here' });
  });
});
