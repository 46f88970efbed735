import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandEnd, FakeApi, view } from './testing/fake-api.ts';

const notFound = {
  code: 'not_found',
  reason: 'sandbox_not_found',
  detail: 'There is no sandbox "nope"',
  hint: 'List them.',
};
let api: FakeApi;
let empty = '';
before(async () => {
  api = await FakeApi.start(({ method, path }, request) => {
    if (request.headers.authorization !== 'Bearer good')
      return [401, { code: 'unauthenticated', reason: 'bad_key', detail: 'The key is not known' }];
    if (path.includes('nope')) return [404, notFound];
    return [200, method === 'GET' && path.startsWith('/v1/sandboxes?') ? { items: [view] } : view];
  });
  empty = await mkdtemp(join(tmpdir(), 'cli-empty-'));
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await rm(empty, { recursive: true });
});
const skerry = (args: readonly string[], env?: Record<string, string>): Promise<CommandEnd> => api.skerry(args, env);

test('create sends what the options say and prints the name alone', async () => {
  const args = [
    'create',
    'work',
    '--ephemeral',
    '--cpus',
    '0.5',
    '--memory',
    '1GiB',
    '--disk',
    '2GiB',
    '--env',
    'A=1',
    '--env',
    'B=2',
    '--label',
    'k=v',
    '--timeout',
    '1h',
    '--on-timeout',
    'delete',
    '--no-wait',
  ];
  const { code, out } = await skerry(args);
  assert.deepEqual([code, out], [0, 'work\n']);
  const { path, body } = api.seen.at(-1) ?? {};
  assert.equal(path, '/v1/sandboxes?wait=false');
  assert.deepEqual(body, {
    name: 'work',
    kind: 'ephemeral',
    cpus: 0.5,
    memoryMiB: 1024,
    diskMiB: 2048,
    env: { A: '1', B: '2' },
    labels: { k: 'v' },
    timeoutMs: 3_600_000,
    onTimeout: 'delete',
  });
});

test('ls is a table for people and one document for programs', async () => {
  assert.match((await skerry(['ls'])).out, /^NAME +STATUS.*\nwork +stopped +persistent/);
  assert.equal((JSON.parse((await skerry(['ls', '--json'])).out) as { items: unknown[] }).items.length, 1);
});

test('errors have three lines, or one document, and the exit code of their class', async () => {
  const missing = await skerry(['get', 'nope']);
  assert.equal(missing.code, 4);
  assert.equal(missing.out, '');
  assert.deepEqual(missing.err, 'skerry: There is no sandbox "nope"\n  why: sandbox not found\n  do:  List them.\n');
  const document = JSON.parse((await skerry(['get', 'nope', '--json'])).err) as { code: string; hint: string };
  assert.deepEqual([document.code, document.hint], ['not_found', 'List them.']);
  assert.equal((await skerry(['ls'], { SKERRY_API_KEY: 'bad' })).code, 3);
  for (const args of [
    ['nonsense'],
    ['create', 'UPPER'],
    ['create', '--memory', 'much'],
    ['ls', '--nonsense'],
    ['exec', 'work'],
    ['cp', 'a', 'b'],
  ])
    assert.equal((await skerry(args)).code, 2, args.join(' '));
});

test('exec in a stopped sandbox says how to start it, and stop of several tells of each', async () => {
  const stopped = await skerry(['exec', 'work', '--', 'true']);
  assert.equal(stopped.code, 5);
  assert.match(stopped.err, /skerry start work/);
  const both = await skerry(['stop', 'work', 'nope']);
  assert.equal(both.code, 4);
  assert.equal(both.out, 'work\n');
  assert.match(both.err, /nope/);
});

test('without an instance each command says where it looked, and with SKERRY_URL alone what is missing', async () => {
  const away = await skerry(['ls'], { SKERRY_URL: '', SKERRY_DATA: empty });
  assert.equal(away.code, 8);
  assert.match(away.err, new RegExp(`${empty}.*\n.*\n.*skerry up`));
  assert.equal((await skerry(['ls'], { SKERRY_API_KEY: '' })).code, 2);
  await writeFile(join(empty, 'endpoint.json'), '{"url":"http://127.0.0.1:9","pid":1}');
  await writeFile(join(empty, 'api.key'), 'good\n');
  const dead = await skerry(['ls', '--data', empty]);
  assert.equal(dead.code, 8);
  assert.match(dead.err, /127\.0\.0\.1:9/);
  assert.equal((await skerry(['key', '--data', empty])).out, 'good\n');
  assert.equal((await skerry(['down', '--data', empty])).code, 0);
});
