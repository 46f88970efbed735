import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { FakeApi, view } from './testing/fake-api.ts';

const minute = 60_000;
const at = (inMs: number): string => new Date(Date.now() + inMs).toISOString();
const missing = (noun: string) => ({
  code: 'not_found',
  reason: `${noun}_not_found`,
  detail: 'There is none',
  hint: 'Look.',
});
const snapshot = {
  id: 'snaaaaaaaaaaaaaaaaaaaa',
  sandbox: view.id,
  sandboxName: 'work',
  name: 'before',
  kind: 'memory',
  origin: 'user',
  status: 'ready',
  template: 'base',
  cpus: 2,
  memoryMiB: 1024,
  diskMiB: 10_240,
  diskBytes: 3 * 1024 * 1024,
  exclusiveBytes: 34 * 1024 * 1024,
  memoryBytes: 33 * 1024 * 1024,
  stallMs: 120,
  createdAt: at(-2 * 60 * minute),
};
const paused = { ...view, status: 'paused', pausedAt: at(-minute) };
const back = { ...view, status: 'running', resume: { from: 'memory', at: at(0) } };
const fellBack = {
  ...view,
  status: 'running',
  resume: { from: 'disk', lost: 'processes', why: 'its image is damaged', at: at(0) },
};
const activity = {
  level: 'awake',
  summary: 'It computes.',
  signals: [{ signal: 'cpu', active: true, lastAt: at(0), detail: '43 % of a core' }],
  next: [{ rule: 'rest', action: 'pause', at: at(10 * minute), why: 'if nothing works in it until then' }],
  wakeOn: 'request',
  wakes: 'any request to it',
  holds: [],
  usage: {
    awakeSeconds: 3600,
    frozenSeconds: 0,
    pausedSeconds: 60,
    stoppedSeconds: 0,
    cpuSeconds: 12,
    cost: { amount: 0.0123, currency: 'EUR', prices: '0.01 an hour awake' },
  },
};

let api: FakeApi;
let folder = '';
before(async () => {
  api = await FakeApi.start(({ method, path }, _, response) => {
    const bare = path.replace(/\?.*/, '');
    if (bare.includes('broken')) {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 50);
      return 'answered';
    }
    if (bare.includes('nope') || bare === '/v1/sandboxes/before/export')
      return [404, missing(bare.startsWith('/v1/snapshots') ? 'snapshot' : 'sandbox')];
    if (bare.endsWith('/export')) {
      response.end('all of it');
      return 'answered';
    }
    if (bare.endsWith('/snapshots') && method === 'GET') return [200, { items: [snapshot] }];
    if (bare.endsWith('/snapshots')) return [201, snapshot];
    if (bare.endsWith('/fork')) return [201, { items: [1, 2].map((n) => ({ ...back, name: `work-${n}` })) }];
    if (bare.endsWith('/activity')) return [200, activity];
    if (bare.endsWith('/pause')) return [200, paused];
    if (bare.endsWith('/holds') && method === 'POST')
      return [201, { id: 'hd1', reason: 'r', createdAt: at(0), expiresAt: at(120 * minute) }];
    if (bare === '/v1/diff')
      return [
        200,
        {
          changes: [
            { change: 'added', path: '/home/user/new\u001b', type: 'file', bytes: 2048 },
            { change: 'deleted', path: '/tmp/old', type: 'directory', bytes: 0 },
          ],
          truncated: true,
        },
      ];
    if (bare.endsWith('/resume')) return [200, bare.includes('lost') ? fellBack : back];
    if (bare.startsWith('/v1/sandboxes/asleep')) return [200, { ...paused, rest: { ...view.rest, wakeOn: 'never' } }];
    return [200, back];
  });
  folder = await mkdtemp(join(tmpdir(), 'cli-saved-'));
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function good(...args: readonly string[]): Promise<{ out: string; err: string }> {
  const { code, out, err } = await api.skerry(args);
  assert.equal(code, 0, `${args.join(' ')}: ${out}${err}`);
  return { out, err };
}
const last = (): { method: string; path: string; body: unknown } => api.seen.at(-1) ?? assert.fail('nothing was asked');

test('pause and resume print names, say how it went, and what was lost', async () => {
  const gone = await good('pause', 'work');
  assert.equal(gone.out, 'work\n');
  assert.match(gone.err, /Paused in .*skerry resume work/);
  assert.deepEqual(last().body, {});
  await good('pause', 'work', '--disk-only');
  assert.deepEqual(last().body, { memory: false });
  assert.match((await good('resume', 'work')).err, /with its memory/);
  assert.match((await good('resume', 'lost')).err, /from its disk; lost: processes \(its image is damaged\)/);
  assert.equal((JSON.parse((await good('pause', 'work', '--json')).out) as { status: string }).status, 'paused');
  const wrong = await api.skerry(['pause', 'nope']);
  assert.deepEqual([wrong.code, wrong.err.split('\n').length], [4, 4]);
});

test('create sends from what it is made and when it rests', async () => {
  const rules = ['--rest-after', 'never', '--rest', 'stop', '--wake-on', 'api', '--expire-after', '30d'];
  await good('create', 'x', '--from', 'before', '--disk-only', ...rules, '--timeout', '1h', '--on-timeout', 'pause');
  assert.deepEqual(last().body, {
    name: 'x',
    from: 'before',
    diskOnly: true,
    rest: { afterMs: null, action: 'stop', wakeOn: 'api', expireAfterMs: 2_592_000_000 },
    timeoutMs: 3_600_000,
    onTimeout: 'pause',
  });
  assert.equal((await api.skerry(['create', 'x', '--disk-only'])).code, 2);
});

test('snapshots are made, listed, drawn, checked and deleted', async () => {
  const limits = ['--expire-after', '1d', '--keep-last', '3', '--disk-only'];
  const made = await good('snapshot', 'create', 'work', '--name', 'before', ...limits);
  assert.equal(made.out, 'before\n');
  assert.match(made.err, /memory \(33 MiB\) and files.*stood still for 120 ms.*34 MiB/);
  assert.deepEqual(last().body, { name: 'before', kind: 'disk', expireAfterMs: 86_400_000, keepLast: 3 });
  assert.match((await good('snapshot', 'ls', 'work')).out, /before +work +memory\+files +33 MiB +3\.0 MiB +34 MiB/);
  assert.match(last().path, /sandbox=work/);
  assert.match((await good('snapshot', 'tree', 'work')).out, /^work running\n└─ before +memory 33 MiB.*2 h ago\n$/);
  assert.equal((await good('snapshot', 'rm', 'before')).out, 'before\n');
  assert.deepEqual([last().method, last().path], ['DELETE', '/v1/snapshots/before']);
  assert.match((await good('snapshot', 'verify', 'before')).err, /is whole/);
  assert.equal((JSON.parse((await good('snapshot', 'ls', '--json')).out) as { items: [] }).items.length, 1);
});

test('fork, rollback and diff say what there is now', async () => {
  const forks = await good('fork', 'work', '--count', '2', '--name', 'work-1');
  assert.equal(forks.out, 'work-1\nwork-2\n');
  assert.match(forks.err, /All 2 run/);
  assert.deepEqual(last().body, { count: 2, names: ['work-1'] });
  assert.match((await good('rollback', 'work', 'before')).err, /as in "before".*with its memory/);
  assert.deepEqual(last().body, { snapshot: 'before', diskOnly: false });
  const diff = await good('diff', 'before', 'work');
  assert.equal(diff.out, '+  2.0 KiB  /home/user/new\\u001b\n-      dir  /tmp/old/\n');
  assert.match(diff.err, /1 added \(2\.0 KiB\), 1 deleted \(0 B\)\. There are more/);
  assert.equal((await api.skerry(['fork', 'work', '--count', '0'])).code, 2);
});

test('activity explains in a few lines, hold and release change it', async () => {
  const { out } = await good('activity', 'work');
  assert.match(out, /^work  awake\n  It computes\.\n/);
  assert.match(out, /● +cpu +now +43 % of a core/);
  assert.match(out, /pauses to disk +in \d+ min \d+ s +if nothing works/);
  assert.match(out, /awake 1 h 0 min, paused 1 min 0 s, 12\.0 s of CPU/);
  assert.match(out, /0\.0123 EUR/);
  const hold = await good('hold', 'work', '--for', '2h', '--reason', 'demo');
  assert.equal(hold.out, 'hd1\n');
  assert.deepEqual(last().body, { forMs: 7_200_000, reason: 'demo' });
  await good('release', 'work', 'hd1');
  assert.equal(last().path, '/v1/sandboxes/work/holds/hd1');
  await good('release', 'work');
  assert.equal(last().path, '/v1/sandboxes/work/holds');
});

test('export appears whole or not at all, finds snapshots by name, and import sends the bytes', async () => {
  const file = join(folder, 'work.skerry');
  await good('export', 'work', file, '--memory');
  assert.match(last().path, /\/v1\/sandboxes\/work\/export\?memory=true/);
  assert.equal(await readFile(file, 'utf8'), 'all of it');
  assert.equal((await good('export', 'before', '-')).out, 'all of it');
  assert.equal(last().path, '/v1/snapshots/before/export?memory=false');
  const cut = await api.skerry(['export', 'broken', join(folder, 'cut')]);
  assert.equal(cut.code, 8);
  assert.match(cut.err, /broke off/);
  assert.match(
    (await api.skerry(['export', 'nope', join(folder, 'cut')])).err,
    /neither a sandbox nor a snapshot "nope"/,
  );
  assert.deepEqual(await readdir(folder), ['work.skerry']);
  await writeFile(join(folder, 'in'), 'bytes');
  assert.equal((await good('import', join(folder, 'in'), 'copy', '--no-start')).out, 'work\n');
  assert.deepEqual([last().path, last().body], ['/v1/import?name=copy&start=false', 'bytes']);
  assert.equal((await api.skerry(['import', '-'], {}, 'from a pipe')).code, 0);
  assert.equal(last().body, 'from a pipe');
  assert.equal((await api.skerry(['import', join(folder, 'nowhere')])).code, 2);
});

test('exec in a paused sandbox that only "resume" wakes says so', async () => {
  const { code, err } = await api.skerry(['exec', 'asleep', '--', 'true']);
  assert.equal(code, 5);
  assert.match(err, /skerry resume work/);
});
