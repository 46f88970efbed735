import { access, readdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineUsage } from '@skerry/engine';
import { readFileIfExists } from '@skerry/kit';
import { type BootId, isId, Problem } from '@skerry/model';

/** What a boot's control groups counted until now. */
export interface LimitHits {
  /** Processes that the kernel ended because the memory limit was reached. */
  readonly outOfMemory: number;
  /** Refused forks because the limit of tasks was reached. */
  readonly outOfProcesses: number;
}

const stepMs = 5;

/** Reads `key number` lines as the kernel writes them; 0 for an absent key. */
export function readCounter(text: string | undefined, key: string): number {
  for (const line of (text ?? '').split('\n')) {
    const [name, value] = line.split(' ');
    if (name === key) return Number(value ?? 0);
  }
  return 0;
}

/**
 * The control groups of one instance's boots: `/skerry-<instance>/<boot id>` in each hierarchy. Version 1 (pure or hybrid) and version 2 are told apart
 * as runsc does it. Which processes are a boot's is told by these groups alone, so a reused pid is never taken for one of them.
 */
export class Cgroups {
  readonly #root: string;
  readonly #parent: string;
  #unified: Promise<boolean> | undefined;

  constructor(instance: string, root = '/sys/fs/cgroup') {
    this.#root = root;
    this.#parent = `skerry-${instance}`;
  }

  /** The path for config.json. */
  pathOf(bootId: BootId): string {
    return `/${this.#parent}/${bootId}`;
  }

  /** Pids of a boot, threads not counted. Empty when it has none, or no group. */
  async processes(bootId: BootId): Promise<number[]> {
    const text = await this.#read(bootId, 'freezer', 'cgroup.procs');
    return (text ?? '').split('\n').filter(Boolean).map(Number);
  }

  /** Boots that have a group in any hierarchy. */
  async list(): Promise<BootId[]> {
    const found = new Set<BootId>();
    for (const directory of await this.#hierarchies()) {
      for (const name of await readdir(join(directory, this.#parent)).catch(() => []))
        if (isId('boot', name)) found.add(name);
    }
    return [...found];
  }

  /** Whether a boot has a group in any hierarchy. */
  async exists(bootId: BootId): Promise<boolean> {
    const hierarchies = await this.#hierarchies();
    const found = await Promise.all(
      hierarchies.map(async (hierarchy) =>
        access(join(hierarchy, this.#parent, bootId)).then(
          () => true,
          () => false,
        ),
      ),
    );
    return found.includes(true);
  }

  async limitHits(bootId: BootId): Promise<LimitHits> {
    const memory = (await this.#isUnified()) ? 'memory.events' : 'memory.oom_control';
    const [outOfMemory, outOfProcesses] = await Promise.all([
      this.#read(bootId, 'memory', memory),
      this.#read(bootId, 'pids', 'pids.events'),
    ]);
    return { outOfMemory: readCounter(outOfMemory, 'oom_kill'), outOfProcesses: readCounter(outOfProcesses, 'max') };
  }

  /** What the boot used. Throws `not_found` without a group. */
  async usage(bootId: BootId): Promise<EngineUsage> {
    const unified = await this.#isUnified();
    const [cpu, memory, peak, tasks] = await Promise.all([
      this.#read(bootId, 'cpuacct', unified ? 'cpu.stat' : 'cpuacct.usage'),
      this.#read(bootId, 'memory', unified ? 'memory.current' : 'memory.usage_in_bytes'),
      this.#read(bootId, 'memory', unified ? 'memory.peak' : 'memory.max_usage_in_bytes'),
      this.#read(bootId, 'pids', 'pids.current'),
    ]);
    if (cpu === undefined || memory === undefined)
      throw new Problem('not_found', `Boot "${bootId}" has no control group`, { reason: 'boot_not_found' });
    return {
      cpuMs: unified ? readCounter(cpu, 'usage_usec') / 1000 : Number(cpu) / 1e6,
      memoryBytes: Number(memory),
      memoryPeakBytes: Number(peak ?? memory),
      processes: Number(tasks ?? 0),
    };
  }

  /** Stops (or lets go on) every process of a boot; returns when it is so. Throws `deadline`. */
  async setFrozen(bootId: BootId, frozen: boolean, deadlineMs: number): Promise<void> {
    const unified = await this.#isUnified();
    const wanted = unified ? (frozen ? '1' : '0') : frozen ? 'FROZEN' : 'THAWED';
    const file = unified ? 'cgroup.freeze' : 'freezer.state';
    const until = Date.now() + deadlineMs;
    for (;;) {
      // Version 1 may stay at FREEZING until it is written again.
      await writeFile(join(await this.#directory(bootId, 'freezer'), file), wanted);
      const state = unified
        ? String(readCounter(await this.#read(bootId, 'freezer', 'cgroup.events'), 'frozen'))
        : (await this.#read(bootId, 'freezer', 'freezer.state'))?.trim();
      if (state === wanted || state === undefined) return;
      if (Date.now() > until)
        throw new Problem(
          'deadline',
          `Boot "${bootId}" did not become ${frozen ? 'frozen' : 'thawed'} in ${deadlineMs} ms`,
          {
            context: { state },
          },
        );
      await sleep(stepMs);
    }
  }

  /** Ends every process of a boot, frozen and stopped ones too; returns when none is left. Throws `deadline`. */
  async killAll(bootId: BootId, deadlineMs: number): Promise<void> {
    const until = Date.now() + deadlineMs;
    for (;;) {
      const pids = await this.processes(bootId);
      if (pids.length === 0) return;
      if (Date.now() > until)
        throw new Problem('deadline', `${pids.length} processes of boot "${bootId}" did not end in ${deadlineMs} ms`, {
          context: { pids },
        });
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended by itself since it was listed.
        }
      }
      await this.setFrozen(bootId, false, stepMs).catch(() => undefined);
      await sleep(stepMs);
    }
  }

  /** Removes a boot's empty groups in all hierarchies, and the instance's own when it was the last boot. Throws `deadline`. */
  async remove(bootId: BootId, deadlineMs: number): Promise<void> {
    const until = Date.now() + deadlineMs;
    for (const hierarchy of await this.#hierarchies()) {
      const directory = join(hierarchy, this.#parent, bootId);
      for (;;) {
        const error = await removeTree(directory);
        if (error === undefined) break;
        if (Date.now() > until)
          throw new Problem('deadline', `A control group of boot "${bootId}" stays busy`, { cause: error });
        await sleep(stepMs);
      }
    }
    await this.removeParent();
  }

  /** Removes the instance's own groups if they are empty. */
  async removeParent(): Promise<void> {
    for (const hierarchy of await this.#hierarchies())
      await rmdir(join(hierarchy, this.#parent)).catch(() => undefined);
  }

  async #isUnified(): Promise<boolean> {
    this.#unified ??= stat(join(this.#root, 'cgroup.controllers')).then(
      () => true,
      () => false,
    );
    return this.#unified;
  }

  async #hierarchies(): Promise<string[]> {
    if (await this.#isUnified()) return [this.#root];
    const names = await readdir(this.#root).catch(() => []);
    return names.map((name) => join(this.#root, name));
  }

  async #directory(bootId: BootId, controller: string): Promise<string> {
    return (await this.#isUnified())
      ? join(this.#root, this.#parent, bootId)
      : join(this.#root, controller, this.#parent, bootId);
  }

  async #read(bootId: BootId, controller: string, file: string): Promise<string | undefined> {
    const path = join(await this.#directory(bootId, controller), file);
    try {
      return await readFileIfExists(path);
    } catch (error) {
      // ENODEV: the group was removed between open and read.
      if ((error as NodeJS.ErrnoException).code === 'ENODEV') return undefined;
      throw error;
    }
  }
}

/** Removes a group and those below it; gives back why not. */
async function removeTree(directory: string): Promise<Error | undefined> {
  try {
    await rmdir(directory);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) await removeTree(join(directory, entry.name));
    return error as Error;
  }
}
