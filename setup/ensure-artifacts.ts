import { join } from 'node:path';
import type { Artifacts } from './artifacts.ts';
import { baseImageStage } from './base-image.ts';
import { cacheRoot } from './cache.ts';
import { debianPackages, HOST_PACKAGES, TEST_PACKAGES } from './debian-packages.ts';
import { requireGo } from './go-toolchain.ts';
import { guestStage } from './guest.ts';
import { machineStage } from './machine-settings.ts';
import { pythonClientStage } from './python-client.ts';
import { runscStage } from './runsc.ts';
import { StageRunner } from './stage.ts';

/** What `--only` may name. */
export const PARTS = ['packages', 'runsc', 'guest', 'image', 'machine'] as const;
export type Part = (typeof PARTS)[number];

export interface SetupOptions {
  /** Build the base image anew, with today's packages. */
  readonly refreshBase: boolean;
  /** Also what only the tests need: Postgres, the Python client. */
  readonly forTests: boolean;
  readonly print: (line: string) => void;
}

/** Makes sure that everything Skerry needs is on this machine, and says where. Cheap when it is. */
export async function ensureArtifacts(repository: string, options: SetupOptions): Promise<Artifacts> {
  const cache = cacheRoot();
  await using runner = new StageRunner(cache, options.print);
  const go = await requireGo();
  await runner.run(debianPackages('packages', HOST_PACKAGES));
  if (options.forTests) await runner.run(debianPackages('test packages', TEST_PACKAGES));
  const [machineOf, imageOf, guestOf] = await Promise.all([
    machineStage(cache, go.proxy),
    baseImageStage(cache, repository, options.refreshBase),
    guestStage(cache, join(repository, 'guest'), go),
  ]);
  const machine = await runner.run(machineOf);
  // The image waits for the network and dpkg, the compiler for the processor: side by side they take little longer than the longer one.
  const image = runner.run(imageOf);
  const compiled = (async () => {
    const guest = await runner.run(guestOf);
    const archive = async (): Promise<string> => (await image).archive;
    const runsc = await runner.run(await runscStage(cache, join(repository, 'guest', 'runsc'), go, archive));
    return { guest, runsc };
  })();
  // Both end before either may fail: the lock is held until nothing of ours writes any more.
  await Promise.allSettled([image, compiled]);
  const images = [await image];
  const built = await compiled;
  const python = options.forTests ? await runner.run(await pythonClientStage(cache, repository)) : null;
  return { ...built, images, machine, python, timings: runner.timings };
}

/** Prepares one part alone (the image too for runsc, which is proven in it). */
export async function ensurePart(repository: string, part: Part, options: SetupOptions): Promise<void> {
  const cache = cacheRoot();
  await using runner = new StageRunner(cache, options.print);
  const image = async (): Promise<string> =>
    (await runner.run(await baseImageStage(cache, repository, options.refreshBase))).archive;
  switch (part) {
    case 'packages':
      await runner.run(debianPackages('packages', HOST_PACKAGES));
      return;
    case 'image':
      await image();
      return;
    case 'machine':
      await runner.run(await machineStage(cache, (await requireGo()).proxy));
      return;
    case 'guest':
      await runner.run(await guestStage(cache, join(repository, 'guest'), await requireGo()));
      return;
    case 'runsc':
      await runner.run(await runscStage(cache, join(repository, 'guest', 'runsc'), await requireGo(), image));
      return;
  }
}
