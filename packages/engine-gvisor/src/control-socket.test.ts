import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callSandbox } from './control-socket.ts';

async function answering(
  answer: (socket: Socket, request: unknown) => void,
  body: (path: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'engine-gvisor-socket-'));
  const path = join(directory, 'socket');
  const server = createServer((socket) => socket.once('data', (data) => answer(socket, JSON.parse(data.toString()))));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await body(path);
  } finally {
    server.close();
    await rm(directory, { recursive: true });
  }
}

test('callSandbox() gives back the result, also when it comes in pieces', async () => {
  let seen: unknown;
  const inPieces = async (socket: Socket, request: unknown): Promise<void> => {
    seen = request;
    for (const piece of ['{"success":tr', 'ue,"err":"","resu', 'lt":768}\n']) {
      socket.write(piece);
      await sleep(5);
    }
  };
  await answering(
    (socket, request) => void inPieces(socket, request),
    async (path) => assert.equal(await callSandbox(path, 'containerManager.Wait', 'bt1'), 768),
  );
  assert.deepEqual(seen, { method: 'containerManager.Wait', arg: 'bt1' });
});

test('callSandbox() throws what the sandbox refuses', async () => {
  await answering(
    (socket) => void socket.write('{"success":false,"err":"no such container","result":null}'),
    async (path) => assert.rejects(callSandbox(path, 'm', null), /no such container/),
  );
});

test('callSandbox() throws SandboxGone when nobody answers', async () => {
  await answering(
    (socket) => void socket.destroy(),
    async (path) => assert.rejects(callSandbox(path, 'm', null), { name: 'SandboxGone' }),
  );
  await assert.rejects(callSandbox('/nonexistent/socket', 'm', null), { name: 'SandboxGone' });
});

test('callSandbox() ends with its signal', async () => {
  await answering(
    () => undefined,
    async (path) => assert.rejects(callSandbox(path, 'm', null, AbortSignal.timeout(20)), { name: 'TimeoutError' }),
  );
});
