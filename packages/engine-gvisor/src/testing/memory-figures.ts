/**
 * Says how long the engine takes to suspend, save, let go on and restore, side by side with bare runsc commands: `node memory-figures.ts [rounds]`.
 * Figures are `ms`; the medians and the 95th percentiles of one run.
 */
import { rm } from 'node:fs/promises';
import { runCommand } from '@skerry/kit';
import { writeBundle } from '../bundle.ts';
import { sandboxFlags } from '../runsc.ts';
import { makeBtrfsPlace } from './btrfs-place.ts';
import { makeHarness, removeTools } from './harness.ts';
import { logged } from './logged.ts';

const rounds = Number(process.argv[2] ?? 12);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

class Figures {
  readonly #taken = new Map<string, number[]>();

  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const result = await work();
    this.#taken.set(name, [...(this.#taken.get(name) ?? []), performance.now() - begun]);
    return result;
  }

  of(name: string): string {
    const taken = (this.#taken.get(name) ?? []).toSorted((one, other) => one - other);
    const at = (share: number): string =>
      (taken[Math.min(taken.length - 1, Math.floor(taken.length * share))] ?? 0).toFixed(1);
    return `${at(0.5)} / ${at(0.95)}`;
  }
}

try {
  await using place = await makeBtrfsPlace(16 * 1024);
  await using harness = await makeHarness(place.directory);
  const { engine, options } = harness;
  for (const mib of [0, 128, 1024]) {
    const figures = new Figures();
    const boot = await harness.scripted(mib === 0 ? 'count' : `hold ${mib}`, { memoryMiB: 4096, cpus: 2 });
    await engine.start(boot);
    await logged(boot.logPath, mib === 0 ? 'ready' : 'held');
    const runsc = async (...args: string[]): Promise<string> =>
      runCommand(options.runscPath, ['--root', options.stateDir, ...sandboxFlags, ...args]);
    for (let round = 0; round < rounds; round += 1) {
      await figures.take('engine suspend', async () => engine.suspend(boot.bootId));
      const image = await harness.emptyDirectory();
      const format = await figures.take('engine save', async () => engine.saveMemory(boot.bootId, image));
      await figures.take('engine unsuspend', async () => engine.unsuspend(boot.bootId));
      const next = { ...(await harness.copy(boot)), memoryMiB: 4096, cpus: 2 };
      await figures.take('engine restore', async () => engine.restore(next, image, format));
      await engine.remove(next.bootId, next.directory);

      const bare = await harness.emptyDirectory();
      await figures.take('bare pause', async () => runsc('pause', boot.bootId));
      await figures.take('bare checkpoint', async () =>
        runsc('checkpoint', '--leave-running', '--image-path', bare, boot.bootId),
      );
      await figures.take('bare resume', async () => runsc('resume', boot.bootId));
      const other = { ...(await harness.copy(boot)), memoryMiB: 4096, cpus: 2 };
      const cgroupsPath = `/skerry-${options.instance}/${other.bootId}`;
      await writeBundle(other, { cgroupsPath, build: options.runscVersion, restored: true });
      await figures.take('bare restore', async () =>
        // Its output goes on to the guest, which would keep a pipe open.
        runCommand('sh', [
          '-c',
          'exec "$@" >/dev/null 2>&1 </dev/null',
          'sh',
          ...[options.runscPath, '--root', options.stateDir, ...sandboxFlags],
          ...['restore', '--image-path', bare, '--detach', '--bundle', other.directory, other.bootId],
        ]),
      );
      await engine.remove(other.bootId, other.directory);
      for (const path of [image, bare]) await rm(path, { recursive: true });
    }
    await engine.remove(boot.bootId, boot.directory);
    say(`${mib} MiB dirty, ${rounds} rounds, p50 / p95`);
    for (const [ours, bare] of [
      ['suspend', 'pause'],
      ['save', 'checkpoint'],
      ['unsuspend', 'resume'],
      ['restore', 'restore'],
    ] as const)
      say(
        `  ${ours.padEnd(10)} engine ${figures.of(`engine ${ours}`).padEnd(20)} runsc ${bare} ${figures.of(`bare ${bare}`)}`,
      );
  }
} finally {
  await removeTools();
}
