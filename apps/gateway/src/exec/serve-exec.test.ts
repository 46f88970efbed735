import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@skerry/model';
import { encodeFrame, processPaths, type Route } from '@skerry/protocol';
import { type Bench, startBench, until } from '../testing/bench.ts';
import { parseSignal } from '@skerry/protocol';

const key = `skerry_${'a'.repeat(40)}`;
const projectId = newId('project');

/** A guest whose `Start` a test answers, and which remembers the signals sent. */
async function withGuest(
  bench: Bench,
  address: string,
  start: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ route: Route; signals: unknown[] }> {
  const signals: unknown[] = [];
  await bench.listen(
    address,
    (incoming, response) => {
      let body = '';
      incoming.on('data', (chunk) => void (body += String(chunk)));
      incoming.on('end', () => {
        if (incoming.url === processPaths.start) {
          response.writeHead(200, { 'content-type': 'application/connect+json' });
          response.flushHeaders();
          start(incoming, response);
        } else {
          if (incoming.url === processPaths.sendSignal) signals.push(JSON.parse(body));
          response.end('{}');
        }
      });
    },
    49983,
  );
  const route = bench.server.addRoute(address, { projectId });
  bench.server.addKey(key, { projectId: route.projectId });
  return { route, signals };
}
function exec(bench: Bench, route: Route, body: unknown, accept = 'application/x-ndjson'): ReturnType<typeof request> {
  const headers = { 'x-api-key': key, 'content-type': 'application/json', accept };
  const outgoing = request(`${bench.base}/v1/sandboxes/${route.sandboxId}/exec`, {
    method: 'POST',
    headers,
    agent: false,
  });
  outgoing.on('error', () => undefined);
  outgoing.end(JSON.stringify(body));
  return outgoing;
}
async function textOf(incoming: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  return text;
}
const started = encodeFrame({ event: { start: { pid: 7 } } });

test('serveExec() stops reading from the guest while its client does not read', async () => {
  await using bench = await startBench();
  let sent = 0;
  const frame = encodeFrame({ event: { data: { stdout: Buffer.alloc(64 * 1024).toString('base64') } } });
  const { route } = await withGuest(bench, '127.77.1.9', (_incoming, response) => {
    response.write(started);
    const more = (): void => {
      while (!response.destroyed) {
        sent += frame.length;
        if (!response.write(frame)) break;
      }
    };
    response.on('drain', more);
    more();
  });
  const outgoing = exec(bench, route, { command: 'yes' });
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  let before = -1;
  while (sent !== before) {
    before = sent;
    await sleep(200);
  }
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken`);
  incoming.destroy();
});

test('serveExec() says when the sandbox goes away, in the stream and as an answer', async () => {
  await using bench = await startBench();
  const responses: ServerResponse[] = [];
  const { route } = await withGuest(bench, '127.77.1.10', (_incoming, response) => {
    response.write(started);
    responses.push(response);
  });
  const [stream] = (await once(exec(bench, route, { command: 'sleep' }), 'response')) as [IncomingMessage];
  const answer = once(exec(bench, route, { command: 'sleep' }, '*/*'), 'response');
  await until(() => responses.length === 2);
  bench.server.removeRoute(route);
  const lines = (await textOf(stream))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; problem?: { reason: string } });
  assert.deepEqual(
    lines.map(({ type }) => type),
    ['start', 'problem'],
  );
  assert.equal(lines[1]?.problem?.reason, 'sandbox_lost');
  const [refused] = (await answer) as [IncomingMessage];
  assert.equal(refused.statusCode, 503);
  assert.match(await textOf(refused), /sandbox_lost/);
});

test('serveExec() kills a command that starts after its client has gone, unless it is detached', async () => {
  await using bench = await startBench();
  let waiting: ServerResponse | undefined;
  const { route, signals } = await withGuest(bench, '127.77.1.11', (_incoming, response) => {
    waiting = response;
  });
  for (const detach of [false, true]) {
    waiting = undefined;
    const outgoing = exec(bench, route, { command: 'sleep', detach });
    await until(() => waiting !== undefined);
    outgoing.destroy();
    await sleep(50);
    (waiting as ServerResponse | undefined)?.write(started);
    await sleep(50);
    assert.deepEqual(signals, [{ process: { pid: 7 }, signal: 'SIGNAL_SIGKILL' }]);
  }
});

test('serveExec() refuses an answer that is no stream of frames', async () => {
  await using bench = await startBench();
  for (const [index, bytes] of [
    Buffer.from('nonsense is no frame'),
    Buffer.concat([started, Buffer.from([9, 9])]),
    Buffer.from([1, 0, 0, 0, 0]),
  ].entries()) {
    const { route } = await withGuest(bench, `127.77.1.${20 + index}`, (_incoming, response) => response.end(bytes));
    const [answer] = (await once(exec(bench, route, { command: 'x' }, '*/*'), 'response')) as [IncomingMessage];
    assert.equal(answer.statusCode, 503);
    answer.resume();
  }
});

test('parseSignal() knows the words of the guest', () => {
  assert.deepEqual(parseSignal('signal: killed'), { name: 'SIGKILL', number: 9 });
  assert.deepEqual(parseSignal('signal: segmentation fault (core dumped)'), { name: 'SIGSEGV', number: 11 });
  assert.deepEqual(parseSignal('signal: signal 34'), { name: 'SIG34', number: 34 });
  for (const text of [undefined, '', 'exit status 1', 'signal: unheard of']) assert.equal(parseSignal(text), undefined);
});
