import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tryCommand } from '@skerry/kit';
import { Instance } from './instance.ts';

const open: Instance[] = [];
after(async () => {
  for (const instance of open) await instance[Symbol.asyncDispose]();
});

/** Names of the points at which a program can be made to kill itself, read from its own list. */
async function faultPoints(program: 'host' | 'server'): Promise<string[]> {
  const source = await readFile(
    fileURLToPath(new URL(`../../apps/${program}/src/fault-points.ts`, import.meta.url)),
    'utf8',
  );
  const names = [...source.matchAll(/^\s+'([a-z-]+\.[a-z-]+(?:\.[a-z-]+)*)',$/gm)].map((match) => match[1] ?? '');
  assert.ok(names.length >= 4, `the fault points of ${program}: ${names.join(' ')}`);
  return names;
}

/** One life of a sandbox, in which any call may be cut off: calls are repeated until they are answered. */
async function life(skerry: Instance): Promise<void> {
  const insist = async (
    method: string,
    path: string,
    body: unknown,
    key: string,
    wanted: readonly number[],
  ): Promise<Record<string, unknown>> => {
    const end = Date.now() + 60_000;
    for (;;) {
      const answer = await skerry
        .api(method, path, body, method === 'POST' ? { 'idempotency-key': key } : {})
        .catch(() => undefined);
      if (answer !== undefined && wanted.includes(answer.status)) return answer.body;
      if (Date.now() > end) assert.fail(`${method} ${path}: ${JSON.stringify(answer)}\n${await skerry.logs()}`);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  };
  const name = `life-${Math.random().toString(36).slice(2, 10)}`;
  await insist('POST', '/v1/sandboxes', { name, memoryMiB: 256 }, `${name}-create`, [201, 202]);
  await skerry.until(name, ['running']);
  await insist('POST', `/v1/sandboxes/${name}/exec`, { command: `echo ${name} > ~/mark; sync` }, `${name}-exec`, [200]);
  await insist('POST', `/v1/sandboxes/${name}/stop`, {}, `${name}-stop`, [200, 202]);
  await skerry.until(name, ['stopped']);
  await insist('POST', `/v1/sandboxes/${name}/start`, {}, `${name}-start`, [200, 202]);
  await skerry.until(name, ['running']);
  const mark = await insist('POST', `/v1/sandboxes/${name}/exec`, { command: 'cat ~/mark' }, `${name}-read`, [200]);
  assert.equal(mark['stdout'], `${name}\n`);
  await insist('DELETE', `/v1/sandboxes/${name}`, undefined, '', [200, 202, 404]);
  const end = Date.now() + 60_000;
  for (;;) {
    const { body } = await skerry.api('GET', '/v1/sandboxes');
    if ((body['items'] as unknown[] | undefined)?.length === 0) break;
    assert.ok(Date.now() < end, `not gone: ${JSON.stringify(body)}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

async function nothingOrphaned(skerry: Instance): Promise<void> {
  await skerry.untilReady();
  const end = Date.now() + 30_000;
  for (;;) {
    const engine = await skerry.enginePids('sandbox');
    const disks = (
      await tryCommand('curl', ['-s', '--unix-socket', `${skerry.runDir}/host/host.sock`, 'http://host/v1/disks'])
    ).stdout;
    const boots = (
      await tryCommand('curl', ['-s', '--unix-socket', `${skerry.runDir}/host/host.sock`, 'http://host/v1/boots'])
    ).stdout;
    if (engine.length === 0 && disks === '{"items":[]}' && boots === '{"items":[]}') break;
    assert.ok(Date.now() < end, `orphans: ${engine.join(' ')} ${disks} ${boots}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const garbage = await skerry.api('POST', '/v1/garbage/collect', { minAgeMs: 0 });
  assert.equal(garbage.status, 200, JSON.stringify(garbage.body));
  assert.deepEqual((await skerry.api('GET', '/v1/garbage')).body['items'], []);
}

for (const program of ['host', 'server'] as const)
  test(`the ${program} killed between any two steps of create, stop, start and delete loses and orphans nothing`, async (t) => {
    const skerry = await Instance.start({ faults: true });
    open.push(skerry);
    for (const point of await faultPoints(program))
      await t.test(point, async () => {
        await skerry.setFault(point);
        await life(skerry);
        await skerry.setFault(undefined);
        await nothingOrphaned(skerry);
      });
  });
