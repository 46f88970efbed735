/** create → first command, command, stop and start, beside a shell spawned on the host; and the memory of an idle sandbox. */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';
import { Instance } from '../e2e/instance.ts';
import { Figures, report } from './common/figures.ts';

const rounds = Number(process.env['SKERRY_BENCH_ROUNDS'] ?? 50);
const hostSpawn = 'host: bash -l -c';
const figures = new Figures();
await using skerry = await Instance.start();

/** Proportional memory of the engine's processes, in `MiB`. */
async function engineMemoryMiB(): Promise<number> {
  let kibibytes = 0;
  for (const kind of ['sandbox', 'gofer'] as const)
    for (const pid of await skerry.enginePids(kind)) {
      const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
      kibibytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    }
  return kibibytes / 1024;
}

for (let n = 0; n < rounds; n++) {
  await figures.time(hostSpawn, () => runCommand('bash', ['-l', '-c', 'echo hi']));
  const name = `bench-${n}`;
  await figures.time('create → first command', async () => {
    await skerry.create({ name, memoryMiB: 512 });
    await skerry.sh(name, 'echo hi');
  });
  await figures.time('command', () => skerry.sh(name, 'echo hi'));
  await figures.time('stop', () => skerry.change(name, 'stop'));
  await figures.time('start → first command', async () => {
    await skerry.change(name, 'start');
    await skerry.sh(name, 'echo hi');
  });
  await figures.time('delete', () => skerry.remove(name));
}
const idle = 20;
for (let n = 0; n < idle; n++) await skerry.create({ name: `idle-${n}`, memoryMiB: 256 });
console.log(
  `memory of ${idle} idle sandboxes: ${((await engineMemoryMiB()) / idle).toFixed(1)} MiB each (proportional)`,
);
await report(
  figures.rows([
    [hostSpawn],
    ['create → first command', hostSpawn],
    ['command', hostSpawn],
    ['stop'],
    ['start → first command', hostSpawn],
    ['delete'],
  ]),
  join(tmpdir(), 'skerry-bench-lifecycle.json'),
);
