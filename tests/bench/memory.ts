/** Pause, resume, freeze, snapshots and forks for 0, 128 and 1024 MiB of dirty memory, beside bare runsc commands and a btrfs snapshot. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';
import { Instance, type SandboxView } from '../e2e/instance.ts';
import { BareRunsc } from './common/bare-runsc.ts';
import { Figures, report } from './common/figures.ts';

const rounds = Number(process.env['SKERRY_BENCH_ROUNDS'] ?? 10);
const forkRounds = Math.max(1, Math.ceil(rounds / 5));
const artifacts = JSON.parse(process.env['SKERRY_TEST_ARTIFACTS'] ?? '{}') as { runsc: { path: string } };
const figures = new Figures();
await using skerry = await Instance.start();
const store = join(skerry.dataDir, 'store');
const [image] = await readdir(join(store, 'images'));
const imageRoot = join(store, 'images', image ?? '', 'root');
const order: (readonly [string, string?])[] = [];

async function post(path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await skerry.api('POST', path, body);
  assert.ok(answer.status < 300 && answer.status !== 202, `${path}: ${JSON.stringify(answer)}`);
  return answer.body;
}

for (const dirtyMiB of [0, 128, 1024]) {
  const label = (what: string): string => `${String(dirtyMiB).padStart(4)} MiB: ${what}`;
  const { id } = await skerry.create({ memoryMiB: 2048, rest: { afterMs: null } });
  await skerry.exec(
    id,
    [
      'python3',
      '-c',
      `import os,time; b=bytearray(os.urandom(1024)*1024*${dirtyMiB}); open('/tmp/ready','w').close(); time.sleep(1e6)`,
    ],
    { detach: true },
  );
  await skerry.sh(id, 'until [ -e /tmp/ready ]; do sleep 0.05; done', { timeoutMs: 60_000 });
  await using bare = new BareRunsc(artifacts.runsc.path, imageRoot, join(store, `bench-${dirtyMiB}`));
  await bare.start(dirtyMiB);
  const barePoint = join(store, `bench-image-${dirtyMiB}`);
  const bareDisk = join(store, `bench-disk-${dirtyMiB}`);
  for (let round = 0; round < rounds; round++) {
    await figures.time(label('bare: pause, checkpoint, delete, sync'), async () => {
      await bare.checkpoint(barePoint);
      await bare.delete();
      await runCommand('sync', ['-f', barePoint]);
    });
    await figures.time(label('bare: restore'), () => bare.restore(barePoint));
    await rm(barePoint, { recursive: true });
    await figures.time(label('bare: pause, checkpoint, resume, sync'), async () => {
      await bare.checkpoint(barePoint);
      await bare.goOn();
      await runCommand('sync', ['-f', barePoint]);
    });
    await rm(barePoint, { recursive: true });
    await figures.time(label('bare: sync, btrfs snapshot'), async () => {
      await runCommand('sync', ['-f', bare.disk]);
      await runCommand('btrfs', ['subvolume', 'snapshot', '-r', bare.disk, bareDisk]);
    });
    await runCommand('btrfs', ['subvolume', 'delete', bareDisk]);
    await figures.time(label('command'), () => skerry.sh(id, 'true'));
    await figures.time(label('pause, durable'), () => skerry.change(id, 'pause'));
    const { items } = (await skerry.api('GET', `/v1/snapshots?all=true&sandbox=${id}`)).body as {
      items: { stallMs?: number }[];
    };
    figures.add(label('pause, stall'), items[0]?.stallMs ?? Number.NaN);
    await figures.time(label('resume → first command'), () => skerry.sh(id, 'true'));
    const memory = await figures.time(label('memory snapshot'), () =>
      post(`/v1/sandboxes/${id}/snapshots`, { kind: 'memory' }),
    );
    figures.add(label('memory snapshot, stall'), Number(memory['stallMs']));
    const disk = await figures.time(label('disk snapshot'), () =>
      post(`/v1/sandboxes/${id}/snapshots`, { kind: 'disk' }),
    );
    for (const made of [memory, disk]) await skerry.api('DELETE', `/v1/snapshots/${String(made['id'])}`);
  }
  for (const count of [1, 20])
    for (let round = 0; round < forkRounds; round++) {
      // Twenty sandboxes of a gigabyte each are more than a small machine has.
      if (count * dirtyMiB > 8192) continue;
      const body = await figures.time(label(`fork of ${count}`), () =>
        post(`/v1/sandboxes/${id}/fork?wait=300s`, { count }),
      );
      for (const fork of body['items'] as SandboxView[]) await skerry.remove(fork.id);
    }
  order.push(
    [label('bare: pause, checkpoint, delete, sync')],
    [label('pause, stall'), label('bare: pause, checkpoint, delete, sync')],
    [label('pause, durable'), label('bare: pause, checkpoint, delete, sync')],
    [label('bare: restore')],
    [label('command'), label('bare: restore')],
    [label('resume → first command'), label('bare: restore')],
    [label('bare: pause, checkpoint, resume, sync')],
    [label('memory snapshot'), label('bare: pause, checkpoint, resume, sync')],
    [label('memory snapshot, stall'), label('bare: pause, checkpoint, resume, sync')],
    [label('bare: sync, btrfs snapshot')],
    [label('disk snapshot'), label('bare: sync, btrfs snapshot')],
    [label('fork of 1'), label('bare: restore')],
    ...(20 * dirtyMiB > 8192 ? [] : ([[label('fork of 20'), label('bare: restore')]] as const)),
  );
  await skerry.remove(id);
}
const meminfo = /^MemTotal:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
console.log(`machine: ${Number(meminfo) >> 20} GiB of memory`);
await report(figures.rows(order), join(tmpdir(), 'skerry-bench-memory.json'));
