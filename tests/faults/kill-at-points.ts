/** One life of a sandbox, with a program that is killed at a named point of it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { tryCommand } from '@skerry/kit';
import type { Instance } from '../e2e/instance.ts';

/** Points of forks, rollbacks, imports, rests and failures: tests of the rooms kill there. */
const notOfThisLife =
  /^(disks\.settle|snapshots\.import|import|freeze|thaw|fork|rollback)\.|^(resume\.fell-back|pause\.failed|point\.dropped|snapshots\.create\.memory)$/;

/** Names of the points at which a program can be made to kill itself, read from its own list, that the life below comes to. */
export async function faultPoints(program: 'host' | 'server'): Promise<string[]> {
  const source = await readFile(
    fileURLToPath(new URL(`../../apps/${program}/src/fault-points.ts`, import.meta.url)),
    'utf8',
  );
  const names = [...source.matchAll(/^\s+'([a-z-]+\.[a-z-]+(?:\.[a-z-]+)*)',$/gm)].map((match) => match[1] ?? '');
  assert.ok(names.length >= 4, `the fault points of ${program}: ${names.join(' ')}`);
  return names.filter((name) => !notOfThisLife.test(name));
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
  await insist('POST', `/v1/sandboxes/${name}/snapshots`, { name, kind: 'memory' }, `${name}-snapshot`, [201, 202]);
  await insist('POST', `/v1/sandboxes/${name}/pause`, {}, `${name}-pause`, [200, 202]);
  await skerry.until(name, ['paused']);
  await insist('POST', `/v1/sandboxes/${name}/resume`, {}, `${name}-resume`, [200, 202]);
  await skerry.until(name, ['running']);
  await insist('POST', `/v1/sandboxes/${name}/stop`, {}, `${name}-stop`, [200, 202]);
  await skerry.until(name, ['stopped']);
  await insist('POST', `/v1/sandboxes/${name}/start`, {}, `${name}-start`, [200, 202]);
  await skerry.until(name, ['running']);
  const mark = await insist('POST', `/v1/sandboxes/${name}/exec`, { command: 'cat ~/mark' }, `${name}-read`, [200]);
  assert.equal(mark['stdout'], `${name}\n`);
  await insist('DELETE', `/v1/snapshots/${name}`, undefined, '', [200, 202, 404]);
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

/** Kills the program at this point of a life: all calls are completed all the same, and nothing is left. */
export async function surviveKillAt(skerry: Instance, point: string): Promise<void> {
  await skerry.setFault(point);
  await life(skerry);
  assert.ok(!skerry.faultArmed(), `a life does not come to "${point}"`);
  await nothingOrphaned(skerry);
}
