import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeFrames, encodeFrame, endStreamFlag } from '@skerry/protocol/client';
import { readExit } from './process/exit.ts';
import { Skerry } from './skerry.ts';
import { errorOfAnswer, SkerryError } from './skerry-error.ts';
import { base64, frame, guest, json, view, withServer } from './testing/fake-server.ts';

test('sandboxes.create() repeats a call that got no answer, with the same idempotency key', async () => {
  let calls = 0;
  await withServer(
    (request, response) => {
      calls++;
      if (calls === 1) request.socket.destroy();
      else if (calls === 2) json(response, 503, { code: 'unavailable', detail: 'starting', reason: 'starting' });
      else json(response, 201, view);
    },
    async (skerry, seen) => {
      assert.equal((await skerry.sandboxes.create({ name: 'one' })).name, 'one');
      const keys = new Set(seen.map((request) => request.headers['idempotency-key']));
      assert.equal(seen.length, 3);
      assert.equal(keys.size, 1);
      assert.equal(seen[0]?.headers.authorization, 'Bearer skerry_k');
    },
  );
});

test('sandboxes.update() is not repeated: it may have been done', async () => {
  await withServer(
    (request) => void request.socket.destroy(),
    async (skerry, seen) => {
      await assert.rejects(skerry.sandboxes.update('one', { labels: {} }), {
        code: 'unavailable',
        reason: 'connection_lost',
      });
      assert.equal(seen.length, 1);
    },
  );
});

test('a problem document becomes a SkerryError with all of its fields', async () => {
  const problem = {
    type: 'urn:x',
    title: 'not_found',
    status: 404,
    code: 'not_found',
    reason: 'sandbox_not_found',
    detail: 'There is no sandbox "x"',
    hint: 'List them.',
    retryable: false,
    requestId: 'r1',
  };
  await withServer(
    (_, response) => json(response, 404, problem),
    async (skerry) => {
      const error = await skerry.sandboxes.get('x').catch((thrown: unknown) => thrown);
      assert.ok(error instanceof SkerryError);
      assert.equal(error.exitCode, 4);
      assert.deepEqual({ ...error.toDocument(), type: 'urn:x' }, problem);
    },
  );
});

test('nobody answering is told apart from a broken connection', async () => {
  let gone = new Skerry({ url: 'http://127.0.0.1:7', apiKey: 'k' });
  await withServer(
    () => undefined,
    async (skerry) => {
      gone = skerry;
    },
  );
  await assert.rejects(gone.system.get(), { code: 'unavailable', reason: 'not_reachable' });
  const late = AbortSignal.timeout(20);
  await withServer(
    () => undefined,
    async (slow) => assert.rejects(slow.system.get(late), { code: 'deadline' }),
  );
});

test('sandboxes.list() follows the pages', async () => {
  await withServer(
    (request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://x');
      assert.equal(searchParams.get('label'), 'a=1,b=2');
      json(
        response,
        200,
        searchParams.get('cursor') === null ? { items: [view], next: 'c1' } : { items: [{ ...view, name: 'two' }] },
      );
    },
    async (skerry) => {
      const names = await Array.fromAsync(skerry.sandboxes.list({ labels: { a: '1', b: '2' } }), ({ name }) => name);
      assert.deepEqual(names, ['one', 'two']);
    },
  );
});

test('process.start() sends the command and gives output and exit in their order', async () => {
  await withServer(
    guest(async (request, response, body) => {
      assert.equal(request.url, '/process.Process/Start');
      assert.equal(request.headers['e2b-sandbox-id'], 'sb1');
      assert.equal(request.headers['x-access-token'], 'token');
      assert.equal(request.headers['connect-timeout-ms'], '5000');
      assert.equal(request.headers.authorization, `Basic ${btoa('root:')}`);
      const [first] = await Array.fromAsync(
        decodeFrames(
          (async function* () {
            yield body;
          })(),
        ),
      );
      assert.deepEqual(first?.message, {
        process: { cmd: 'echo', args: ['a b'], envs: { K: 'V' }, cwd: '/x' },
        stdin: false,
      });
      response.writeHead(200, { 'content-type': 'application/connect+json' });
      response.write(frame({ start: { pid: 7 } }));
      response.write(frame({ keepalive: {} }));
      response.write(frame({ data: { stdout: base64('ö1') } }));
      response.write(frame({ data: { stderr: base64('e') } }));
      response.write(frame({ end: { exitCode: 3, exited: true, status: 'exit status 3', error: 'exit status 3' } }));
      response.end(encodeFrame({}, endStreamFlag));
    }),
    async (skerry) => {
      const { process } = await skerry.sandboxes.get('one');
      const result = await process.run({
        command: ['echo', 'a b'],
        env: { K: 'V' },
        cwd: '/x',
        user: 'root',
        timeoutMs: 5000,
      });
      assert.deepEqual(result, { exitCode: 3, timedOut: false, stdout: 'ö1', stderr: 'e' });
    },
  );
});

test('a process whose time is over ends with 124', async () => {
  await withServer(
    guest((_, response) => {
      response.write(frame({ start: { pid: 7 } }));
      response.end(encodeFrame({ error: { code: 'deadline_exceeded', message: 'late' } }, endStreamFlag));
    }),
    async (skerry) => {
      const { process } = await skerry.sandboxes.get('one');
      const { exitCode, timedOut } = await process.run({ command: ['sleep'] });
      assert.deepEqual([exitCode, timedOut], [124, true]);
    },
  );
});

test('a stream that breaks says which sandbox was lost, and an abort is an abort', async () => {
  await withServer(
    guest((_, response) => {
      response.write(frame({ start: { pid: 7 } }));
      setTimeout(() => response.destroy(), 20);
    }),
    async (skerry) => {
      const { process } = await skerry.sandboxes.get('one');
      await assert.rejects(process.run({ command: ['x'] }), { reason: 'sandbox_lost', message: /"one"/ });
    },
  );
  const stop = new AbortController();
  await withServer(
    guest((_, response) => {
      response.write(frame({ start: { pid: 7 } }));
      setTimeout(() => stop.abort(), 20);
    }),
    async (skerry) => {
      const { process } = await skerry.sandboxes.get('one');
      await assert.rejects(process.run({ command: ['x'], signal: stop.signal }), { code: 'cancelled' });
    },
  );
});

test('letting go of a process ends the waiting for its output at once', async () => {
  await withServer(
    guest((_, response) => void response.write(frame({ start: { pid: 7 } }))),
    async (skerry) => {
      const { process } = await skerry.sandboxes.get('one');
      const running = await process.start({ command: ['x'] });
      const ended = running.wait();
      await running[Symbol.asyncDispose]();
      await assert.rejects(ended, { code: 'cancelled' });
      const unread = await process.start({ command: ['x'] });
      await unread[Symbol.asyncDispose]();
    },
  );
});

test('a sandbox that does not run is told with how to start it', async () => {
  await withServer(
    guest((_, response) => json(response, 502, { sandboxId: 'sb1', message: 'The sandbox was not found', code: 502 })),
    async (skerry) => {
      const { files } = await skerry.sandboxes.get('one');
      await assert.rejects(files.readText('/x'), { reason: 'sandbox_not_running', hint: /skerry start one/ });
    },
  );
});

test('a call that met a pause before it was answered is sent again, unless its body is gone', async () => {
  let calls = 0;
  const pausing = { sandboxId: 'sb1', message: 'The sandbox is being paused', code: 503 };
  await withServer(
    guest((_, response) => {
      if (++calls % 2 === 1) json(response, 503, pausing);
      else response.end('content');
    }),
    async (skerry) => {
      const { files } = await skerry.sandboxes.get('one');
      assert.equal(await files.readText('/x'), 'content');
      await assert.rejects(files.write('/x', new Blob(['x']).stream()), { code: 'unavailable' });
    },
  );
});

test('errorOfAnswer() reads Connect errors and whatever else a proxy may say', () => {
  assert.equal(errorOfAnswer(404, '{"code":"not_found","message":"no pid"}').code, 'not_found');
  assert.equal(errorOfAnswer(400, '{"code":"invalid_argument","message":"cwd"}').message, 'cwd');
  assert.equal(errorOfAnswer(507, '{"code":507,"message":"disk full"}').code, 'exhausted');
  assert.equal(errorOfAnswer(504, '<html>').code, 'deadline');
  assert.equal(errorOfAnswer(418, '').code, 'internal');
});

test('readExit() makes 128 + n of a signal', () => {
  assert.deepEqual(readExit({ exitCode: -1, error: 'signal: killed', status: 'signal: killed' }), {
    exitCode: 137,
    signal: 'SIGKILL',
    timedOut: false,
  });
  assert.deepEqual(readExit({ exitCode: -1, error: 'signal: segmentation fault (core dumped)' }).exitCode, 139);
  assert.deepEqual(readExit({ exitCode: -1, error: 'signal: signal 34' }), {
    exitCode: 162,
    signal: 'SIG34',
    timedOut: false,
  });
  assert.deepEqual(readExit({ exited: true }), { exitCode: 0, timedOut: false });
});

test('readExit() knows every signal that the gateway knows', () => {
  const end = { exited: false, status: 'signal: CPU time limit exceeded' } as Parameters<typeof readExit>[0];
  assert.deepEqual(readExit(end), { exitCode: 152, signal: 'SIGXCPU', timedOut: false });
});
