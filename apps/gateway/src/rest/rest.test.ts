import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '@skerry/model';
import { guestPort, processPaths, type Route } from '@skerry/protocol';
import { type Bench, startBench, until } from '../testing/bench.ts';
import { answerOf, ask, readStream, startStream, textOf, to } from '../testing/client.ts';
import { FakeGuest, output } from '../testing/fake-guest.ts';

const key = `skerry_${'a'.repeat(40)}`;
const address = '127.77.3.9';

async function drained(bench: Bench, count = 1): Promise<string[]> {
  await until(() => bench.server.drained.length === count);
  return bench.server.drained.map(({ result }) => result);
}

test('a drain of an idle boot is answered, and every request after it asks the server first', async () => {
  await using bench = await startBench();
  let served = 0;
  const port = await bench.listen(address, (_incoming, response) => {
    served += 1;
    response.end('ok');
  });
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  assert.deepEqual(await ask(bench, route, port), [200, 'ok']);
  assert.equal(bench.server.calls.resolve, 0);
  bench.server.drain(route);
  assert.deepEqual(await drained(bench), ['drained']);
  const thawed = Promise.withResolvers<void>();
  bench.server.resolve = async () => {
    await thawed.promise;
    return route;
  };
  const asking = Array.from({ length: 50 }, async () => await ask(bench, route, port));
  await until(() => bench.server.calls.resolve === 1);
  await sleep(50);
  assert.deepEqual([served, bench.server.calls.resolve], [1, 1]);
  thawed.resolve();
  for (const answer of await Promise.all(asking)) assert.deepEqual(answer, [200, 'ok']);
  assert.deepEqual([served, bench.server.calls.resolve], [51, 1]);
  assert.deepEqual(bench.server.asked[0]?.by, 'request');
  assert.deepEqual(await ask(bench, route, port), [200, 'ok']);
  assert.equal(bench.server.calls.resolve, 1);
});

test('a drain without force lets what is under way go on, and holds nothing', async () => {
  await using bench = await startBench();
  const waiting: (() => void)[] = [];
  const port = await bench.listen(address, (incoming, response) => {
    if (incoming.url === '/slow') waiting.push(() => response.end('slow'));
    else response.end('quick');
  });
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const slow = ask(bench, route, port, '/slow');
  await until(() => waiting.length === 1);
  bench.server.drain(route);
  assert.deepEqual(await drained(bench), ['busy']);
  assert.deepEqual(await ask(bench, route, port), [200, 'quick']);
  waiting[0]?.();
  assert.deepEqual(await slow, [200, 'slow']);
  assert.equal(bench.server.calls.resolve, 0);
  // An idle kept connection is nothing, and does not outlive the drain.
  bench.server.drain(route);
  assert.deepEqual(await drained(bench, 2), ['busy', 'drained']);
});

test('an answer of the server that is older than a drain does not open the boot', async () => {
  await using bench = await startBench();
  let served = 0;
  const port = await bench.listen(address, (_incoming, response) => response.end(String((served += 1))));
  const route = bench.server.addRoute(address, { portAccess: 'public', resting: true });
  const answers: ((route: Route) => void)[] = [];
  bench.server.resolve = async () => await new Promise<Route>((resolve) => answers.push(resolve));
  const asking = ask(bench, route, port);
  await until(() => answers.length === 1);
  bench.server.drain(route);
  await drained(bench);
  answers[0]?.({ ...route, resting: false });
  await until(() => answers.length === 2);
  assert.equal(served, 0);
  answers[1]?.({ ...route, resting: false });
  assert.deepEqual(await asking, [200, '1']);
});

test('requests and drains that race never meet: each is served once, and none while the boot is frozen', async () => {
  await using bench = await startBench();
  let frozen = false;
  let inside = 0;
  let met = 0;
  const served = new Map<string, number>();
  const port = await bench.listen(address, (incoming, response) => {
    inside += 1;
    if (frozen) met += 1;
    served.set(incoming.url ?? '', (served.get(incoming.url ?? '') ?? 0) + 1);
    incoming.resume();
    setTimeout(() => {
      if (frozen) met += 1;
      inside -= 1;
      response.end('ok');
    }, Math.random() * 4);
  });
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  bench.server.resolve = async () => {
    await sleep(Math.random() * 5);
    frozen = false;
    return route;
  };
  const going = new AbortController();
  let count = 0;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let round = 0; !going.signal.aborted; round++) {
      count += 1;
      const method = round % 2 === 0 ? 'GET' : 'POST';
      const outgoing = to(bench, route, port, `/${client}-${round}`, { method });
      const incoming = await answerOf(outgoing.end(method === 'POST' ? 'body' : undefined));
      assert.equal(await textOf(incoming), 'ok');
      await sleep(Math.random() * 20);
    }
  });
  let frozenTimes = 0;
  for (let round = 0; frozenTimes < 15 && round < 2000; round++) {
    const before = bench.server.drained.length;
    bench.server.drain(route);
    await until(() => bench.server.drained.length > before);
    if (bench.server.drained.at(-1)?.result !== 'drained') continue;
    // From here a request may already have asked and been let in; the server would then not freeze.
    if (bench.server.calls.resolve === frozenTimes) {
      assert.equal(inside, 0);
      frozen = true;
    }
    const asked = bench.server.calls.resolve;
    await until(() => bench.server.calls.resolve > asked || !frozen);
    await until(() => !frozen);
    frozenTimes = bench.server.calls.resolve;
    await sleep(5);
  }
  going.abort();
  await Promise.all(clients);
  assert.equal(met, 0);
  assert.equal(served.size, count);
  for (const [path, times] of served) assert.equal(times, 1, path);
});

test('a forced drain ends process streams with all that the guest sent, and a clean "unavailable"', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  guest.lastWords = [output('last words')];
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  const started = await startStream(bench, route);
  const connected = await startStream(bench, route, processPaths.connect);
  await until(() => guest.streams.length === 2);
  guest.streams[0]?.send(output('before'));
  bench.server.drain(route, true);
  for (const [incoming, expected] of [
    [started, ['before', 'last words']],
    [connected, ['last words']],
  ] as const) {
    const { messages, end } = await readStream(incoming);
    assert.deepEqual(messages, [{ event: { start: { pid: 7 } } }, ...expected.map(output)]);
    assert.deepEqual(end, { error: { code: 'unavailable', message: 'the sandbox is being paused' } });
  }
  assert.deepEqual(await drained(bench), ['drained']);
});

test('a forced drain does not wait for a slow reader, who still gets everything', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  const incoming = await startStream(bench, route);
  incoming.pause();
  await until(() => guest.streams.length === 1);
  const piece = 'x'.repeat(256 * 1024);
  let sent = 0;
  while (guest.streams[0]?.response.writableNeedDrain !== true) {
    guest.streams[0]?.send(output(piece));
    sent += 1;
    await sleep(1);
  }
  bench.server.drain(route, true);
  assert.deepEqual(await drained(bench), ['drained']);
  const { messages, end } = await readStream(incoming);
  assert.equal(messages.length, 1 + sent);
  assert.equal(end?.error?.code, 'unavailable');
});

test('a forced drain waits a moment for answers, then says that the sandbox rests', async () => {
  await using bench = await startBench();
  const port = await bench.listen(address, (incoming, response) => {
    if (incoming.url === '/soon') setTimeout(() => response.end('soon'), 300);
    if (incoming.url === '/part') response.write('part');
  });
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const soon = ask(bench, route, port, '/soon');
  const never = to(bench, route, port, '/never').end();
  const neverAnswered = answerOf(never);
  const part = await answerOf(to(bench, route, port, '/part').end());
  const seen: string[] = [];
  part.on('data', (chunk: Buffer) => void seen.push(chunk.toString()));
  const partEnd = assert.rejects(once(part, 'end'));
  await sleep(50);
  bench.server.drain(route, true);
  // Who comes meanwhile waits.
  await until(() => bench.server.drained.length === 0);
  bench.server.resolve = async () => await new Promise<Route>(() => undefined);
  const later = to(bench, route, port, '/later').end();
  assert.deepEqual(await soon, [200, 'soon']);
  const refused = await neverAnswered;
  assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [503, undefined]);
  assert.match(await textOf(refused), /put to rest before it answered/);
  await partEnd;
  assert.deepEqual(seen, ['part']);
  assert.deepEqual(await drained(bench), ['drained']);
  later.destroy();
});

test('a forced drain closes WebSockets with a close and other upgraded connections with an end', async () => {
  await using bench = await startBench();
  const received: Buffer[] = [];
  const inside = createServer();
  inside.on('upgrade', (incoming: IncomingMessage, socket: Socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => void received.push(chunk));
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${incoming.headers.upgrade}\r\n\r\n`,
    );
    socket.write(Buffer.from([0x82, 0x01, 0x07]));
  });
  const port = await bench.listen(address, inside);
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  const open = async (upgrade: string): Promise<Buffer[]> => {
    const outgoing = to(bench, route, port, '/', { headers: { connection: 'upgrade', upgrade } }).end();
    const [, socket, head] = (await once(outgoing, 'upgrade')) as [IncomingMessage, Socket, Buffer];
    const chunks = [head];
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
    socket.once('end', () => {
      ended += 1;
      socket.end();
    });
    await until(() => Buffer.concat(chunks).length === 3);
    return chunks;
  };
  let ended = 0;
  const webSocket = await open('websocket');
  const plain = await open('echo');
  bench.server.drain(route, true);
  assert.deepEqual(await drained(bench), ['drained']);
  await until(() => ended === 2);
  assert.deepEqual([...Buffer.concat(webSocket)], [0x82, 0x01, 0x07, 0x88, 0x02, 0x03, 0xe9]);
  assert.deepEqual([...Buffer.concat(plain)], [0x82, 0x01, 0x07]);
  assert.deepEqual([...Buffer.concat(received)], [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);
});

test('exec tells that the sandbox rests, and leaves its command alone', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  guest.lastWords = [output('last')];
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  bench.server.addKey(key, { projectId: route.projectId });
  const headers = { 'x-api-key': key, 'content-type': 'application/json', accept: 'application/x-ndjson' };
  const body = '{"command":"sleep"}';
  const answer = await fetch(`${bench.base}/v1/sandboxes/${route.sandboxId}/exec`, { method: 'POST', headers, body });
  await until(() => guest.streams.length === 1);
  bench.server.drain(route, true);
  assert.deepEqual(await drained(bench), ['drained']);
  const lines = (await answer.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map((line) => line['type']),
    ['start', 'stdout', 'problem'],
  );
  assert.match(JSON.stringify(lines[2]), /"reason":"sandbox_pausing"/);
  assert.ok(!guest.requests.some((path) => path.includes('SendSignal')));
  bench.server.resolve = async () => route;
  const again = fetch(`${bench.base}/v1/sandboxes/${route.sandboxId}/exec`, { method: 'POST', headers, body });
  await until(() => guest.streams.length === 2);
  assert.equal(bench.server.asked[0]?.by, 'api');
  guest.streams[1]?.send({ event: { end: { exitCode: 3, exited: true } } });
  guest.streams[1]?.response.end(Buffer.from([2, 0, 0, 0, 2, 0x7b, 0x7d]));
  assert.match(await (await again).text(), /"exitCode":3/);
});

test('a sandbox that may not be woken answers as one that is not there, and /v1 says why', async () => {
  await using bench = await startBench();
  const route = bench.server.addRoute(address, { portAccess: 'public' });
  bench.server.addKey(key, { projectId: route.projectId });
  bench.server.removeRoute(route);
  bench.server.resolve = async () => {
    throw new Problem('conflict', 'Sandbox "box" is paused', {
      reason: 'sandbox_not_running',
      hint: 'skerry resume box',
    });
  };
  const [status, body] = await ask(bench, route, 8000);
  assert.deepEqual(
    [status, JSON.parse(body)],
    [502, { sandboxId: route.sandboxId, message: 'The sandbox was not found', code: 502 }],
  );
  const files = await fetch(`${bench.base}/v1/sandboxes/${route.sandboxId}/files?path=/x`, {
    headers: { 'x-api-key': key },
  });
  assert.equal(files.status, 409);
  assert.deepEqual(
    bench.server.asked.map(({ by }) => by),
    ['request', 'api'],
  );
});

test('asking for health wakes nobody: a boot that rests in RAM is there, one that is paused is not', async () => {
  await using bench = await startBench();
  const guest = new FakeGuest();
  await bench.listen(address, guest.server, guestPort);
  const route = bench.server.addRoute(address);
  assert.equal((await ask(bench, route, guestPort, '/health'))[0], 200);
  bench.server.drain(route);
  await drained(bench);
  assert.equal((await ask(bench, route, guestPort, '/health'))[0], 204);
  assert.deepEqual(guest.requests, ['GET /health']);
  bench.server.removeRoute(route);
  assert.equal((await ask(bench, route, guestPort, '/health'))[0], 502);
  assert.equal(bench.server.calls.resolve, 0);
});

test('who may not come in does not wake a boot that rests', async () => {
  await using bench = await startBench();
  const route = bench.server.addRoute(address, { resting: true });
  await until(() => true);
  assert.equal((await ask(bench, route, 8000))[0], 401);
  assert.equal(bench.server.calls.resolve, 0);
});
