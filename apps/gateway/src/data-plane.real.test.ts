import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeFrames,
  encodeFrame,
  endStreamFlag,
  type ExecEvent,
  type ExecResult,
  type ProcessStreamMessage,
  type Route,
} from '@skerry/protocol';
import { type Bench, startBench } from './testing/bench.ts';
import { type RealGuest, startRealGuest } from './testing/real-guest.ts';

const key = `skerry_${'a'.repeat(40)}`;
const viewerKey = `skerry_${'b'.repeat(40)}`;
let bench: Bench;
let guest: RealGuest;
let route: Route;

before(async () => {
  bench = await startBench();
  route = bench.server.addRoute('127.77.0.2', { name: 'box' });
  bench.server.addKey(key, { projectId: route.projectId });
  bench.server.addKey(viewerKey, { projectId: route.projectId, role: 'viewer' });
  guest = await startRealGuest(route);
});
after(async () => {
  await guest?.[Symbol.asyncDispose]();
  await bench?.[Symbol.asyncDispose]();
});

async function post(
  body: unknown,
  options: { accept?: string; key?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  return await fetch(`${bench.base}/v1/sandboxes/box/exec`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: {
      authorization: `Bearer ${options.key ?? key}`,
      'content-type': 'application/json',
      accept: options.accept ?? '*/*',
    },
    signal: options.signal ?? null,
  });
}
async function exec(body: unknown): Promise<ExecResult> {
  const answer = await post(body);
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as ExecResult;
}
async function refused(answer: Response | Promise<Response>): Promise<[number, unknown]> {
  const said = await answer;
  const problem = (await said.json()) as Record<string, unknown>;
  return [said.status, problem['reason']];
}
function files(path: string, query: Record<string, string> = {}): string {
  return `${bench.base}/v1/sandboxes/${route.sandboxId}/files?${new URLSearchParams({ path, ...query }).toString()}`;
}
const headers = { 'x-api-key': key };

test('exec gives output, exit code and environment', async () => {
  const result = await exec({
    command: 'echo out; echo err >&2; echo $FROM_SANDBOX $MINE; pwd; exit 3',
    env: { MINE: 'too' },
    cwd: '/tmp',
  });
  assert.deepEqual(
    [result.exitCode, result.stdout, result.stderr, result.timedOut, result.truncated],
    [3, 'out\nyes too\n/tmp\n', 'err\n', false, false],
  );
  assert.ok(result.pid > 0 && result.durationMs >= 0);
});

test('exec runs a list as it is, without a shell', async () => {
  assert.equal((await exec({ command: ['echo', '$HOME', 'a  b'] })).stdout, '$HOME a  b\n');
});

test('exec passes standard input and closes it', async () => {
  const text = 'ü'.repeat(1024 * 1024);
  assert.equal((await exec({ command: 'wc -c', stdin: text })).stdout.trim(), String(2 * 1024 * 1024));
  assert.equal((await exec({ command: 'cat; echo end' })).stdout, 'end\n');
  assert.equal((await exec({ command: 'true', stdin: text })).exitCode, 0);
});

test('exec kills the tree at its timeout and answers 124', async () => {
  const result = await exec({ command: 'setsid sleep 1234 & sleep 1234', timeoutMs: 300 });
  assert.deepEqual([result.exitCode, result.timedOut], [124, true]);
  await sleep(100);
  assert.equal((await exec({ command: ['pgrep', '-fc', 'sleep 123[4]'] })).stdout, '0\n');
});

test('exec tells the signal that ended the command', async () => {
  const result = await exec({ command: 'kill -TERM $$' });
  assert.deepEqual([result.exitCode, result.signal, result.timedOut], [143, 'SIGTERM', false]);
});

test('exec cuts each output at 8 MiB and goes on reading', async () => {
  const result = await exec({ command: 'head -c 9000000 /dev/zero | tr "\\0" x; echo more >&2' });
  assert.deepEqual(
    [result.exitCode, result.stdout.length, result.truncated, result.stderr],
    [0, 8 * 1024 * 1024, true, 'more\n'],
  );
});

test('exec detaches with a pid that goes on', async () => {
  const { pid, exitCode } = await exec({ command: 'sleep 30', detach: true });
  assert.equal(exitCode, undefined);
  assert.equal((await exec({ command: `kill -0 ${pid} && kill ${pid}` })).exitCode, 0);
});

test('exec streams events as they happen', async () => {
  const answer = await post({ command: 'echo a; sleep 0.2; echo b >&2; exit 7' }, { accept: 'application/x-ndjson' });
  assert.equal(answer.headers.get('content-type'), 'application/x-ndjson');
  const events = (await answer.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ExecEvent);
  assert.deepEqual(
    events.map((event) => event.type),
    ['start', 'stdout', 'stderr', 'end'],
  );
  assert.equal(Buffer.from((events[1] as { data: string }).data, 'base64').toString(), 'a\n');
  assert.equal((events[3] as { exitCode: number }).exitCode, 7);
});

test('exec kills the command when its client goes away', async () => {
  const abort = new AbortController();
  const answer = await post({ command: 'sleep 4321' }, { accept: 'application/x-ndjson', signal: abort.signal });
  const reader = answer.body?.getReader();
  await reader?.read();
  abort.abort();
  for (let tries = 0; ; tries++) {
    const { stdout } = await exec({ command: ['pgrep', '-fc', 'sleep 432[1]'] });
    if (stdout === '0\n') break;
    assert.ok(tries < 50, 'the command still runs');
    await sleep(50);
  }
});

test('a forced drain in the middle of a command loses none of its output', async () => {
  const command = 'for i in $(seq 1 600); do echo $i; sleep 0.003; done; sleep 5678';
  const headers = {
    'content-type': 'application/connect+json',
    'e2b-sandbox-id': route.sandboxId,
    'x-access-token': route.accessToken,
  };
  const start = await fetch(`${bench.base}/process.Process/Start`, {
    method: 'POST',
    headers,
    body: encodeFrame({ process: { cmd: '/bin/bash', args: ['-c', command] }, stdin: false }),
  });
  await sleep(500);
  bench.server.drain(route, true);
  for (let tries = 0; bench.server.drained.length === 0; tries++) {
    assert.ok(tries < 400, 'it was not drained');
    await sleep(10);
  }
  const read = async (body: ReadableStream<Uint8Array>): Promise<[string, number, unknown]> => {
    let text = '';
    let pid = 0;
    for await (const { flags, message } of decodeFrames(body)) {
      if ((flags & endStreamFlag) !== 0) return [text, pid, message];
      const { event } = message as ProcessStreamMessage;
      pid = event.start?.pid ?? pid;
      assert.equal(event.start?.droppedBytes, undefined);
      text += Buffer.from(event.data?.stdout ?? '', 'base64').toString();
      if (text.endsWith('\n600\n')) return [text, pid, undefined];
    }
    return [text, pid, 'broken off'];
  };
  assert.ok(start.body !== null);
  const [first, pid, end] = await read(start.body);
  assert.deepEqual(end, { error: { code: 'unavailable', message: 'the sandbox is being paused' } });
  const connect = await fetch(`${bench.base}/process.Process/Connect`, {
    method: 'POST',
    headers,
    body: encodeFrame({ process: { pid } }),
  });
  assert.ok(connect.body !== null);
  const [second] = await read(connect.body);
  await connect.body.cancel().catch(() => undefined);
  assert.ok(first.length > 0 && second.length > 0, `${first.length} and ${second.length} bytes`);
  assert.equal(first + second, Array.from({ length: 600 }, (_, index) => `${index + 1}\n`).join(''));
  await exec({ command: ['pkill', '-f', 'sleep 567[8]'] });
});

test('exec refuses what cannot start with a reason', async () => {
  assert.deepEqual(await refused(post({ command: 'true', user: 'nobody9' })), [400, 'invalid_user']);
  assert.deepEqual(await refused(post({ command: 'true', cwd: '/no/such' })), [400, 'no_such_directory']);
  assert.deepEqual(await refused(post({ command: ['no-such-program'] })), [400, 'command_not_found']);
  assert.deepEqual(await refused(post({ command: ['/no/such/program'] })), [400, 'command_not_found']);
  assert.deepEqual(await refused(post({ command: ['/etc/passwd'] })), [400, 'not_executable']);
  assert.deepEqual(await refused(post({ command: 7 })), [400, 'invalid_body']);
  assert.deepEqual(await refused(post({ command: 'true' }, { key: viewerKey })), [403, 'role_too_low']);
  assert.deepEqual(await refused(post({ command: 'true' }, { key: `skerry_${'c'.repeat(40)}` })), [401, 'invalid_key']);
  assert.deepEqual(await refused(post({ command: 'true', stdin: 'x'.repeat(17 * 1024 * 1024) })), [
    413,
    'body_too_large',
  ]);
});

test('files are written with their parents, read, listed and removed', async () => {
  const folder = `${guest.directory}/a b/ü`;
  const path = `${folder}/file`;
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
  assert.equal((await fetch(files(path), { method: 'PUT', body: bytes, headers })).status, 200);
  const read = await fetch(files(path), { headers });
  assert.deepEqual(
    [read.headers.get('content-length'), read.headers.get('content-type')],
    ['300000', 'application/octet-stream'],
  );
  assert.ok(bytes.equals(Buffer.from(await read.arrayBuffer())));
  const part = await fetch(files(path), { headers: { ...headers, range: 'bytes=10-19' } });
  assert.deepEqual([part.status, Buffer.from(await part.arrayBuffer())], [206, bytes.subarray(10, 20)]);
  await exec({ command: ['ln', '-s', 'file', `${folder}/link`] });
  const listed = (await (await fetch(files(folder, { list: 'true' }), { headers })).json()) as {
    items: Record<string, unknown>[];
  };
  assert.deepEqual(
    listed.items.map(({ name, type, size, owner }) => [name, type, name === 'file' ? size : 0, owner]),
    [
      ['file', 'file', 300_000, 'root'],
      ['link', 'symlink', 0, 'root'],
    ],
  );
  assert.equal(listed.items[0]?.['mode'], 0o644);
  assert.deepEqual(await refused(fetch(files(folder), { headers })), [400, 'is_a_directory']);
  assert.deepEqual(await refused(fetch(files(folder), { method: 'DELETE', headers })), [400, 'is_a_directory']);
  assert.equal((await fetch(files(path), { method: 'DELETE', headers })).status, 200);
  assert.deepEqual(await refused(fetch(files(path), { headers })), [404, 'no_such_file']);
  assert.deepEqual(await refused(fetch(files(path), { method: 'DELETE', headers })), [404, 'no_such_file']);
  assert.equal((await fetch(files(folder, { recursive: 'true' }), { method: 'DELETE', headers })).status, 200);
  assert.deepEqual(await refused(fetch(files(folder, { list: 'true' }), { headers })), [404, 'no_such_file']);
});

test('an empty file is written and read', async () => {
  const path = `${guest.directory}/empty`;
  assert.equal((await fetch(files(path), { method: 'PUT', headers })).status, 200);
  const read = await fetch(files(path), { headers });
  assert.deepEqual([read.status, await read.text()], [200, '']);
});

test('a full disk answers 507', async () => {
  const full = `${guest.directory}/full`;
  await exec({ command: `mkdir ${full} && mount -t tmpfs -o size=1m none ${full}` });
  const answer = await fetch(files(`${full}/big`), { method: 'PUT', body: Buffer.alloc(4 * 1024 * 1024), headers });
  assert.deepEqual(await refused(answer), [507, 'sandbox_disk_full']);
});
