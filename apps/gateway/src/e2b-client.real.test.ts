import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Route } from '@skerry/protocol';
import { CommandExitError, Sandbox } from 'e2b';
import { type Bench, startBench, until } from './testing/bench.ts';
import { type RealGuest, startRealGuest } from './testing/real-guest.ts';

const apiKey = `e2b_${'a'.repeat(40)}`;
let bench: Bench;
let guest: RealGuest;
let route: Route;
let sandbox: Sandbox;

before(async () => {
  bench = await startBench();
  route = bench.server.addRoute('127.77.0.3');
  bench.server.addKey(apiKey, { projectId: route.projectId });
  guest = await startRealGuest(route);
  bench.server.api = (request, response) => {
    const found =
      request.method === 'POST' &&
      request.url === `/v2/sandboxes/${route.sandboxId}/connect` &&
      request.headers['x-api-key'] === apiKey;
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    const answer = {
      sandboxID: route.sandboxId,
      templateID: 'base',
      clientID: 'skerry',
      envdVersion: '0.6.13',
      envdAccessToken: route.accessToken,
    };
    response.end(JSON.stringify(found ? answer : { code: 404, message: 'Not found' }));
  };
  sandbox = await Sandbox.connect(route.sandboxId, { apiKey, apiUrl: bench.base, sandboxUrl: bench.base });
});
after(async () => {
  await guest?.[Symbol.asyncDispose]();
  await bench?.[Symbol.asyncDispose]();
});

test('the official client runs commands, in the foreground and the background', async () => {
  const result = await sandbox.commands.run('echo hello $NAME; echo oops >&2', { envs: { NAME: 'world' } });
  assert.deepEqual([result.exitCode, result.stdout, result.stderr], [0, 'hello world\n', 'oops\n']);
  await assert.rejects(
    sandbox.commands.run('exit 3'),
    (error) => error instanceof CommandExitError && error.exitCode === 3,
  );
  let seen = '';
  const handle = await sandbox.commands.run('while read line; do echo got $line; done', {
    background: true,
    stdin: true,
    onStdout: (data) => void (seen += data),
  });
  await sandbox.commands.sendStdin(handle.pid, 'one\n');
  await until(() => seen === 'got one\n');
  assert.ok((await sandbox.commands.list()).some(({ pid }) => pid === handle.pid));
  await sandbox.commands.closeStdin(handle.pid);
  assert.equal((await handle.wait()).exitCode, 0);
  await assert.rejects(sandbox.commands.run('sleep 60', { timeoutMs: 300 }), { name: 'TimeoutError' });
});

test('the official client uses a terminal', async () => {
  let text = '';
  const terminal = await sandbox.pty.create({
    cols: 80,
    rows: 24,
    onData: (data) => void (text += Buffer.from(data).toString()),
  });
  await sandbox.pty.resize(terminal.pid, { cols: 111, rows: 33 });
  await sandbox.pty.sendInput(terminal.pid, Buffer.from('stty size; exit\n'));
  await terminal.wait();
  assert.match(text, /33 111/);
});

test('the official client moves files and watches a folder', async () => {
  const folder = `${guest.directory}/watched`;
  assert.equal(await sandbox.files.makeDir(folder), true);
  const events: string[] = [];
  const watch = await sandbox.files.watchDir(folder, (event) => void events.push(`${event.type} ${event.name}`));
  await sandbox.files.write(`${folder}/a.txt`, 'hello');
  await until(() => events.some((event) => event.endsWith('a.txt')));
  assert.equal(await sandbox.files.read(`${folder}/a.txt`), 'hello');
  const bytes = new Uint8Array(3 * 1024 * 1024).map((_, index) => index % 253);
  await sandbox.files.write(`${folder}/b.bin`, bytes.buffer);
  assert.deepEqual(await sandbox.files.read(`${folder}/b.bin`, { format: 'bytes' }), bytes);
  assert.deepEqual((await sandbox.files.list(folder)).map(({ name }) => name).sort(), ['a.txt', 'b.bin']);
  await sandbox.files.rename(`${folder}/a.txt`, `${folder}/c.txt`);
  assert.equal(await sandbox.files.exists(`${folder}/a.txt`), false);
  await sandbox.files.remove(folder);
  await watch.stop();
});

test('the official client sees a clean end when its sandbox is put to rest, and goes on with the command afterwards', async () => {
  let seen = '';
  const command = 'echo one; read line; echo "got $line"';
  const handle = await sandbox.commands.run(command, {
    background: true,
    stdin: true,
    timeoutMs: 0,
    onStdout: (data) => void (seen += data),
  });
  await until(() => seen === 'one\n');
  const ended = assert.rejects(handle.wait(), /paused/);
  bench.server.drain(route, true);
  await ended;
  await until(() => bench.server.drained.length === 1);
  assert.equal(bench.server.drained[0]?.result, 'drained');
  assert.equal(await sandbox.isRunning(), true);
  assert.equal(bench.server.calls.resolve, 0);
  const again = await sandbox.commands.connect(handle.pid, { onStdout: (data) => void (seen += data) });
  assert.equal(bench.server.calls.resolve, 1);
  await sandbox.commands.sendStdin(handle.pid, 'two\n');
  assert.equal((await again.wait()).exitCode, 0);
  assert.match(seen, /got two\n$/);
});

test('the official client tells a sandbox that went away', async () => {
  assert.equal(await sandbox.isRunning(), true);
  const waiting = sandbox.commands.run('sleep 60');
  await until(() => true);
  setTimeout(() => bench.server.removeRoute(route), 200);
  await assert.rejects(waiting);
  assert.equal(await sandbox.isRunning(), false);
});
