/** A block device that forgets what was not synced when its power is cut: a loop device over a file that a program of ours shows by FUSE. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand, tryCommand } from '@skerry/kit';
import type { Loss } from './unsynced-blocks.ts';

/** As the host mounts its own loop file. */
const mountOptions = 'nosuid,nodev,noatime,discard=sync';

/** What a cut found and left, in blocks of 4 KiB. */
export interface Cut {
  readonly unsyncedBlocks: number;
  readonly changedBlocks: number;
  readonly keptBlocks: number;
  readonly reads: number;
  readonly writes: number;
  readonly flushes: number;
}

export class PowerDevice implements AsyncDisposable {
  readonly #directory: string;
  readonly #image: string;
  readonly #shown: string;
  #program: ChildProcess | undefined;
  #answers: Interface | undefined;
  #device: string | undefined;
  #mountPoint: string | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#image = join(directory, 'image');
    this.#shown = join(directory, 'shown');
  }

  /** Makes a device with an empty btrfs on it. */
  static async make(sizeMiB: number): Promise<PowerDevice> {
    const power = new PowerDevice(await mkdtemp('/var/tmp/skerry-power-'));
    try {
      const file = await open(power.#image, 'wx', 0o600);
      await file.truncate(sizeMiB * 1024 * 1024);
      await file.close();
      await writeFile(power.#shown, '');
      await runCommand('mkfs.btrfs', ['--quiet', '--metadata', 'single', '--data', 'single', power.#image]);
    } catch (error) {
      await power[Symbol.asyncDispose]();
      throw error;
    }
    return power;
  }

  /** Gives it power and mounts it. */
  async on(mountPoint: string): Promise<void> {
    const program = spawn(process.execPath, [join(import.meta.dirname, 'fuse-file.ts'), this.#image, this.#shown], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#program = program;
    this.#answers = createInterface({ input: program.stdout });
    const ready = once(this.#answers, 'line').then(() => true);
    if (!(await Promise.race([ready, once(program, 'exit').then(() => false)])))
      throw new Error('The FUSE file cannot be shown');
    this.#device = (await runCommand('losetup', ['--find', '--show', this.#shown])).trim();
    await runCommand('mount', ['-t', 'btrfs', '-o', mountOptions, this.#device, mountPoint]);
    this.#mountPoint = mountPoint;
  }

  /** Cuts the power now. Who has it mounted notices nothing: what the cut left is there when it is next switched on. */
  async cut(loss: Loss, seed: number): Promise<Cut> {
    return (await this.#order({ cut: loss, seed })) as unknown as Cut;
  }

  /** Lets every write and flush fail with an input/output error, or no longer. */
  async failWrites(fail: boolean): Promise<void> {
    await this.#order({ fail });
  }

  /** Unmounts it and takes the power away; a file system that is in use for another moment is waited for. */
  async off(): Promise<void> {
    if (this.#mountPoint !== undefined) {
      for (let attempt = 0; ; attempt++) {
        const result = await tryCommand('umount', [this.#mountPoint]);
        if (result.status === 0) break;
        if (attempt >= 100) {
          // Its user goes, and the device with it; the test has failed by now.
          await tryCommand('umount', ['--lazy', this.#mountPoint]);
          throw new Error(`"${this.#mountPoint}" stays in use: ${result.stderr}`);
        }
        await sleep(50);
      }
      this.#mountPoint = undefined;
    }
    if (this.#device !== undefined) {
      await runCommand('losetup', ['--detach', this.#device]);
      this.#device = undefined;
    }
    const program = this.#program;
    if (program === undefined) return;
    const ended = program.exitCode === null && program.signalCode === null ? once(program, 'exit') : Promise.resolve();
    for (let attempt = 0; ; attempt++) {
      const result = await tryCommand('umount', [this.#shown]);
      if (result.status === 0 || /not mounted/.test(result.stderr)) break;
      if (attempt >= 100) throw new Error(`"${this.#shown}" stays in use: ${result.stderr}`);
      await sleep(50);
    }
    this.#answers?.close();
    program.stdin?.end();
    await ended;
    this.#program = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.off();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #order(order: Record<string, unknown>): Promise<Record<string, unknown>> {
    if (this.#program === undefined || this.#answers === undefined) throw new Error('The device has no power');
    const answer = once(this.#answers, 'line', { signal: AbortSignal.timeout(60_000) });
    this.#program.stdin?.write(`${JSON.stringify(order)}\n`);
    const [line] = (await answer) as [string];
    return JSON.parse(line) as Record<string, unknown>;
  }
}
